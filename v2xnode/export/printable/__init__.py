"""A receipt on paper: one page, as HTML or PDF, in English or German, with a code that proves its totals."""
