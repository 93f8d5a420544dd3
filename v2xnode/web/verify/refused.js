// Why a receipt does not hold: `code` for programs, the message for people. The codes are those of docs/ledger.md.
export class Refused extends Error {
  constructor(code, sentence) {
    super(sentence);
    this.code = code;
  }
}

export function demand(holds, code, sentence) {
  if (!holds) throw new Refused(code, sentence);
}
