// What a delivery has come to (docs/protocol.md, "Metering and money"). All integers, all cumulative.
import { FIXED, PROVIDER, TIERED, TIME_OF_USE } from "./terms.js";

const MAX_ENERGY_WH = 10000000n;
const MS_PER_MINUTE = 60000n;

const min = (...values) => values.reduce((low, value) => (value < low ? value : low));
const max = (...values) => values.reduce((high, value) => (value > high ? value : high));
const abs = (value) => (value < 0n ? -value : value);
const sum = (values) => values.reduce((total, value) => total + value, 0n);

const energy = (register, opening) => min(max(register - opening, 0n), MAX_ENERGY_WH);

// {wh: of each price step, agreed_wh, at_ms}: `agreed_wh` up to the end of an interval that began at tally.at_ms.
export function add(offer, tally, at_ms, agreed_wh) {
  const edges = offer.price_steps.map(([edge]) => edge);
  if (offer.price_kind === TIERED) {
    const bounds = [...edges.map((edge) => min(edge, agreed_wh)), agreed_wh];
    return { wh: edges.map((_, at) => bounds[at + 1] - bounds[at]), agreed_wh, at_ms };
  }
  const passed = edges.filter((edge) => edge <= tally.at_ms / MS_PER_MINUTE).length;
  const step = offer.price_kind === FIXED ? 0 : Math.max(0, passed - 1);
  const more = agreed_wh - tally.agreed_wh;
  return { wh: tally.wh.map((wh, at) => (at === step ? wh + more : wh)), agreed_wh, at_ms };
}

// Each line of the bill: price steps, fees, tax.
export function amountsOf(offer, tally) {
  const steps = offer.price_steps.map(([, price], at) => (tally.wh[at] * price + 500n) / 1000n);
  const fees = offer.fees.map(([, amount]) => (tally.agreed_wh > 0n ? amount : 0n));
  const net = [...steps, ...fees];
  return offer.tax_permyriad ? [...net, (sum(net) * offer.tax_permyriad + 5000n) / 10000n] : net;
}

export class Metering {
  constructor(offer) {
    Object.assign(this, { offer, first: null, last: null, open: null, opening_wh: 0n, client_wh: 0n });
    Object.assign(this, { tally: null, receipts: 0n, disputed: false, before: null });
  }

  with(changes) {
    return Object.assign(new Metering(this.offer), this, changes);
  }

  get amounts() {
    return this.tally ? amountsOf(this.offer, this.tally) : [];
  }

  get agreed_wh() {
    return this.tally ? this.tally.agreed_wh : 0n;
  }

  // null where no such interval can follow
  withInterval(interval) {
    if (this.open || this.disputed || interval.number !== this.receipts) return null;
    if (this.last) {
      const edge = this.nextEdge(this.last.end_at_ms);
      const late = edge !== null && interval.end_at_ms > edge;
      if (interval.register_wh < this.last.register_wh || interval.end_at_ms <= this.last.end_at_ms || late) return null;
    }
    return this.with({ open: interval });
  }

  nextEdge(at_ms) {
    if (this.offer.price_kind !== TIME_OF_USE) return null;
    return this.offer.price_steps.map(([edge]) => edge * MS_PER_MINUTE).find((edge) => edge > at_ms) ?? null;
  }

  // null where the Receipt is not what the meters and the offer come to
  withReceipt(receipt) {
    if (!this.open || receipt.number !== this.receipts || receipt.register_wh < this.client_wh) return null;
    const tally = this.first ? this.reckon(receipt.register_wh) : this.opened();
    const amounts = tally && this.first ? amountsOf(this.offer, tally) : [];
    const says = tally && receipt.agreed_wh === tally.agreed_wh && String(receipt.amounts_micro) === String(amounts);
    if (!says) return null;
    const opening = this.first ? {} : { first: this.open, opening_wh: receipt.register_wh };
    const newest = { last: this.open, open: null, client_wh: receipt.register_wh, tally, receipts: this.receipts + 1n };
    return this.with({ ...opening, ...newest, before: this.with({ before: null }) });
  }

  opened() {
    return { wh: this.offer.price_steps.map(() => 0n), agreed_wh: 0n, at_ms: this.open.end_at_ms };
  }

  reckon(register_wh) {
    const { offer, open, first } = this;
    const [provider_wh, client_wh] = [energy(open.register_wh, first.register_wh), energy(register_wh, this.opening_wh)];
    const [[standby_w, loss_ppm], [floor_wh, class_ppm]] = [offer.loss, offer.tolerance];
    const lost = (standby_w * (open.end_at_ms - first.end_at_ms)) / 3600000n + (provider_wh * loss_ppm + 500000n) / 1000000n;
    const expected = max(0n, provider_wh - lost);
    if (abs(client_wh - expected) > max(floor_wh, (class_ppm * provider_wh) / 1000000n)) return null;
    const counted = offer.reference === PROVIDER ? provider_wh : client_wh;
    return add(offer, this.tally, open.end_at_ms, max(counted, this.tally.agreed_wh));
  }

  // As it was with the disputed interval open, and the most that its energy can be; null where there is none.
  disputable(dispute) {
    if (this.before && dispute.number === this.receipts - 1n) return [this.before, this.agreed_wh];
    return this.open && !this.disputed && dispute.number === this.receipts ? [this, MAX_ENERGY_WH] : null;
  }

  // null where it is about no interval that can be disputed
  withDispute(dispute) {
    const [then, highest] = this.disputable(dispute) ?? [null];
    if (!then || !then.first || !then.tally) return null;
    const counted = min(dispute.undisputed_wh, highest, energy(then.open.register_wh, then.first.register_wh));
    const tally = add(then.offer, then.tally, then.open.end_at_ms, max(counted, then.tally.agreed_wh));
    const parked = { then, highest_wh: max(energy(then.open.register_wh, then.first.register_wh), dispute.client_wh, tally.agreed_wh) };
    return then.with({ tally, open: null, disputed: true, parked });
  }

  // The amounts of another energy for the disputed interval.
  amountsAt(agreed_wh) {
    const { then } = this.parked;
    return amountsOf(this.offer, add(this.offer, then.tally, then.open.end_at_ms, agreed_wh));
  }
}
