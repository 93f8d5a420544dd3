// What the entries of a receipt come to: strictly, in their order (docs/ledger.md, "Receipt file", 7).
import { equal } from "./bytes.js";
import { Metering } from "./metering.js";
import { Refused, demand } from "./refused.js";
import { SERVICES, readTerms } from "./terms.js";

const WRITERS = { ACCEPT: "client", CONFIRM: "provider", REJECT: "provider", INTERVAL: "provider", RECEIPT: "client" };
const sum = (values) => values.reduce((total, value) => total + value, 0n);

export function readTrade(messages, entries, requestId, isKeyOf) {
  return new Reader(messages, entries, requestId, isKeyOf).read();
}

class Reader {
  constructor(messages, entries, requestId, isKeyOf) {
    this.entries = entries.map((entry) => ({ ...entry, says: readTerms(entry.type, entry.body) }));
    this.next = 0;
    this.readMessages(messages, requestId, isKeyOf);
    this.metering = new Metering(this.offer);
  }

  readMessages(messages, requestId, isKeyOf) {
    const kinds = messages.map((message) => message.kind).join(" ");
    demand(kinds === "REQUEST OFFER", "out_of_order", "a receipt carries the request and the offer");
    [this.request, this.offer] = messages.map((message) => readTerms(message.kind, message.payload));
    demand(this.entries.length > 0, "out_of_order", "a receipt carries entries");
    [this.client, this.provider, this.offerHash] = [this.entries[0].node, this.request.provider, messages[1].hash];
    demand(isKeyOf(this.client, messages[0].signer), "wrong_party", "the request is somebody else's");
    demand(isKeyOf(this.provider, messages[1].signer), "wrong_party", "the offer is somebody else's");
    demand(!equal(this.client, this.provider), "wrong_party", "nobody trades with itself");
    const named = equal(this.request.request_id, requestId) && equal(this.offer.request_id, requestId);
    demand(named, "wrong_party", "request and offer are of two requests");
  }

  read() {
    this.readAgreement();
    this.readMetering();
    const closed = this.readSettlement();
    const resolved = this.readResolution();
    const { metering } = this;
    demand(this.next === this.entries.length, "out_of_order", "behind what settles the trade stands more");
    demand(metering.first && metering.tally, "out_of_order", "nothing was metered");
    const settled = resolved ?? closed;
    const state = resolved ? "resolved" : metering.disputed ? "disputed" : "settled";
    return {
      provider: this.provider, client: this.client, service: SERVICES[Number(this.request.service)], state,
      started_at_ms: metering.first.end_at_ms, ended_at_ms: metering.tally.at_ms, settled_at_s: settled.at_s,
      delivered_wh: { ...this.registers(), agreed: settled.agreed_wh },
      parked_wh: state === "disputed" ? metering.parked.highest_wh - metering.agreed_wh : 0n,
      currency: this.offer.currency, amounts_micro: settled.amounts_micro, total_micro: sum(settled.amounts_micro),
    };
  }

  isNext(type) {
    return this.entries[this.next]?.type === type;
  }

  // The next entry: of this type, by the right party, about the other one, in answer to that entry.
  take(type, answered) {
    demand(this.isNext(type), "out_of_order", `${type} was due at place ${this.next + 1}`);
    const entry = this.entries[this.next];
    this.checkParty(entry);
    demand(!answered || equal(entry.answers, answered), "out_of_order", `${type} answers something else`);
    this.next += 1;
    return entry;
  }

  checkParty(entry) {
    const isProvider = equal(entry.node, this.provider);
    const isParty = isProvider || equal(entry.node, this.client);
    const writes = WRITERS[entry.type] === undefined || WRITERS[entry.type] === (isProvider ? "provider" : "client");
    const about = equal(entry.says.peer, isProvider ? this.client : this.provider);
    demand(isParty && writes && about, "wrong_party", `${entry.type} is of or about somebody else`);
  }

  readAgreement() {
    const accept = this.take("ACCEPT", this.offerHash);
    this.take("CONFIRM", accept.hash);
    demand(accept.says.currency === this.offer.currency, "does_not_add_up", "the Accept is in another currency");
  }

  readMetering() {
    while (this.isNext("INTERVAL")) {
      const interval = this.take("INTERVAL");
      this.step(this.metering.withInterval(interval.says), "out_of_order", "no such interval can follow");
      if (this.isNext("RECEIPT")) {
        const receipt = this.take("RECEIPT", interval.hash);
        this.step(this.metering.withReceipt(receipt.says), "does_not_add_up", "a Receipt says something else");
      }
    }
    if (this.isNext("DISPUTE")) {
      this.step(this.metering.withDispute(this.take("DISPUTE").says), "out_of_order", "the Dispute is about no such interval");
    }
    demand(!this.metering.open, "out_of_order", "an Interval has neither Receipt nor Dispute");
  }

  step(next, code, sentence) {
    if (!next) throw new Refused(code, sentence);
    this.metering = next;
  }

  readSettlement() {
    const close = this.take("CLOSE");
    const closed = this.take("CLOSED", close.hash);
    demand(!equal(close.node, closed.node), "wrong_party", "Close and Closed are of one party");
    const due = String([this.metering.receipts, this.metering.agreed_wh, ...this.metering.amounts]);
    for (const { says } of [close, closed]) {
      const said = String([says.receipts, says.agreed_wh, ...says.amounts_micro]);
      demand(said === due, "does_not_add_up", "the settlement is over other totals");
    }
    return closed.says;
  }

  readResolution() {
    if (!this.isNext("RESOLVE")) return null;
    const proposal = this.take("RESOLVE");
    const answer = this.take("RESOLVE", proposal.hash);
    demand(!equal(proposal.node, answer.node), "wrong_party", "both Resolves are of one party");
    const { metering } = this;
    demand(metering.disputed, "does_not_add_up", "nothing was disputed");
    const { agreed_wh } = answer.says;
    const within = agreed_wh >= metering.agreed_wh && agreed_wh <= metering.parked.highest_wh;
    demand(within, "malformed", "the energy is outside of what was metered");
    const due = String([agreed_wh, ...metering.amountsAt(agreed_wh)]);
    for (const { says } of [proposal, answer]) {
      const said = String([says.agreed_wh, ...says.amounts_micro]);
      demand(said === due, "does_not_add_up", "the Resolves say something else");
    }
    return answer.says;
  }

  registers() {
    const dispute = this.entries.find((entry) => entry.type === "DISPUTE");
    if (dispute) return { provider: dispute.says.provider_wh, client: dispute.says.client_wh };
    const { first, last, client_wh, opening_wh } = this.metering;
    return { provider: last.register_wh - first.register_wh, client: client_wh - opening_wh };
  }
}
