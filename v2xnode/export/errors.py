"""Why something can't be exported."""

from v2xnode.errors import UsageError


class ExportRefused(UsageError):
    """The format has no place for this, or needs what is not there; the sentence says what to do."""

    code = "not_exportable"


class ExporterUnknown(UsageError):
    """No exporter of that name is installed, or it does not load."""

    code = "unknown_format"
