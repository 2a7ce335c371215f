// The page: one customer's feed, live. Every text that came from outside goes into the document by
// textContent, never as markup; the server's policy forbids anything else. No outside script.
"use strict";

const at = (id) => document.getElementById(id);
const STATES = {
  pending: ["Pending", "wait"], partly_cleared: ["Partly cleared", "wait"],
  cleared: ["Cleared", "done"], booked: ["Booked", "done"],
  declined: ["Declined", "no"], reversed: ["Reversed", "back"], expired: ["Expired", "back"],
  partly_refunded: ["Partly refunded", "back"], refunded: ["Refunded", "back"],
  announced: ["Announced", "wait"], verified: ["Verified", ""],
};
const KINDS = {
  purchase: "Card payment", cash_withdrawal: "Cash withdrawal", refund: "Refund",
  verification: "Card check", credit: "Money in", interest: "Interest", debit: "Money out", fee: "Fee",
};
const CHANGES = {
  authorised: "Promised", incremented: "Promised more", verified: "Card checked",
  declined: "Declined", reversed: "Given back by the merchant", expired: "Given back, nobody took it",
  presented: "Cleared", presentment_reversed: "Clearing taken back",
  refund_announced: "Refund announced", refunded: "Refunded", booked: "Booked",
};
const ROLES = {
  owner: "Owner", disponent: "Authorised to dispose", card_holder: "Holder of a card",
};
const PLATFORMS = {
  fcm: "Android (FCM)", apns: "Apple (APNs)", web_push: "Browser (web push)", webhook: "Webhook",
};
const NOTICES = {
  purchase: "purchases", decline: "declines", amount_changed: "changed amounts",
  released: "money given back", refund: "refunds", money_in: "money in", money_out: "money out",
};

const words = (table, word) => table[word] || String(word).replaceAll("_", " ");
const MINUS = "\u2212";

function make(tag, { text, kind, ...rest } = {}, ...children) {
  const element = document.createElement(tag);
  if (kind) element.className = kind;
  if (text !== undefined) element.textContent = text;
  for (const [name, value] of Object.entries(rest)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

// Text of strangers: its direction must not leak into ours, nor turn its own letters round to look
// like another name.
const CONTROLS = /[\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g;
const stranger = (text) => make("bdi", { text: text.replace(CONTROLS, "\ufffd") });

function money(amount, sign = "") {
  const negative = amount.decimal.startsWith("-");
  const [whole, fraction] = amount.decimal.replace("-", "").split(".");
  const grouped = whole.replace(/\B(?=(\d{3})+$)/g, ",");
  const number = fraction === undefined ? grouped : `${grouped}.${fraction}`;
  return `${negative ? MINUS : sign}${number}\u00a0${amount.currency}`;
}

const clock = (time) => time.slice(11, 19);
function day(time) {
  const noon = new Date(`${time.slice(0, 10)}T12:00:00Z`);
  const part = (wanted) => noon.toLocaleDateString("en-GB", { ...wanted, timeZone: "UTC" });
  const parts = [{ weekday: "long" }, { day: "numeric" }, { month: "long" }, { year: "numeric" }];
  return parts.map(part).join(" ");
}

// ---- asking --------------------------------------------------------------------------------------

function headers(more = {}) {
  const token = sessionStorage.getItem("token");
  return token ? { ...more, Authorization: `Bearer ${token}` } : more;
}

class Problem extends Error {
  constructor(problem) {
    super(problem.detail || problem.title);
    this.problem = problem;
  }
}

async function refused(response) {
  const problem = await response.json().catch(() => ({ title: `Status ${response.status}` }));
  if (response.status === 401) at("access").hidden = false;
  return new Problem({ ...problem, status: response.status });
}

async function ask(path, signal) {
  const response = await fetch(path, { headers: headers({ Accept: "application/json" }), signal });
  if (!response.ok) throw await refused(response);
  at("access").hidden = true;
  const position = response.headers.get("tapline-position");
  if (position) at("position").textContent = `Contains log position ${position}`;
  return response.json();
}

// ---- the feed ------------------------------------------------------------------------------------

let shown = null; // { customer, stop, lines: Map, accounts: Map, next }

const order = (a, b) => (a.created_at === b.created_at
  ? (a.line < b.line ? -1 : 1) : (a.created_at > b.created_at ? -1 : 1));

function title(item) {
  return (item.merchant && item.merchant.name) || item.text || words(KINDS, item.kind);
}

function about(item) {
  const parts = [clock(item.created_at)];
  if (title(item) !== words(KINDS, item.kind)) parts.push(words(KINDS, item.kind));
  if (item.merchant && item.merchant.category_text) parts.push(item.merchant.category_text);
  if (item.merchant && item.merchant.country) parts.push(item.merchant.country);
  if (item.card_last_four) parts.push(`card \u2022\u2022${item.card_last_four}`);
  return parts.join(" \u00b7 ");
}

function sum(item) {
  const still = ["declined", "reversed", "expired", "verified"].includes(item.status);
  const sign = still ? "" : (item.is_incoming ? "+" : MINUS);
  const kind = still ? "sum still" : (item.is_incoming ? "sum in" : "sum");
  return make("div", { kind, text: money(item.amount, sign) });
}

function facts(rows) {
  const list = make("dl");
  for (const [name, value, kind] of rows) {
    list.append(make("dt", { text: name }), make("dd", { kind: kind || "" }, stranger(value)));
  }
  return list;
}

function particulars(item) {
  const rows = [["Account", item.account_id]];
  if (item.original.currency !== item.amount.currency) rows.push(["Charged", money(item.original)]);
  if (item.former_amount) rows.push(["Was", money(item.former_amount)]);
  if (item.pending.minor !== 0) rows.push(["Still promised", money(item.pending)]);
  if (item.refunded.minor !== 0) rows.push(["Refunded", money(item.refunded)]);
  if (item.reason) rows.push(["Reason", words({}, item.reason)]);
  if (item.release_at) rows.push(["Given back at the latest", `${item.release_at.slice(0, 10)} ${clock(item.release_at)}`]);
  if (item.flags.length) rows.push(["Marks", item.flags.map((flag) => words({}, flag)).join(", ")]);
  rows.push(["Available after", money(item.balance.available)]);
  rows.push(["Booked after", money(item.balance.booked)]);
  rows.push(["Log position", `${item.position}, version ${item.version}`, "mono"]);
  return facts(rows);
}

function timeline(item) {
  const list = make("ol", { kind: "timeline", "aria-label": "What happened" });
  for (const step of item.timeline) {
    list.append(make("li", {},
      make("span", { text: words(CHANGES, step.change) }),
      make("span", { kind: "moved", text: money(step.amount) }),
      make("time", { text: `${step.at.slice(0, 10)} ${clock(step.at)}`, datetime: step.at })));
  }
  return list;
}

function lineOf(item, wasOpen) {
  const [label, tone] = STATES[item.status] || [words({}, item.status), ""];
  const summary = make("summary", {},
    make("div", { kind: "what" }, stranger(title(item))),
    sum(item),
    make("div", { kind: "about" }, stranger(about(item))),
    make("div", { kind: "state" }, make("span", { kind: `label ${tone}`, text: label })));
  const more = make("div", { kind: "more" });
  if (item.possible_duplicate) {
    const text = "Possibly paid twice: same card, merchant and amount within ten minutes.";
    more.append(make("p", { kind: "hint", text }));
  }
  more.append(timeline(item), particulars(item));
  const details = make("details", {}, summary, more);
  details.open = wasOpen;
  details.addEventListener("toggle", () => {
    if (details.open) history.replaceState(null, "", `#${encodeURIComponent(item.line)}`);
  });
  return make("li", { "data-status": item.status }, details);
}

function dayOf(item) {
  const date = item.created_at.slice(0, 10);
  for (const section of at("lines").children) {
    if (section.dataset.date === date) return section;
  }
  const section = make("section", { kind: "day", "data-date": date },
    make("h2", { text: day(item.created_at) }), make("ol"));
  const after = [...at("lines").children].find((other) => other.dataset.date < date);
  at("lines").insertBefore(section, after || null);
  return section;
}

// Puts a line into its place, or the newer version of it there; false where it is no news.
function put(item, isNew) {
  const known = shown.lines.get(item.line);
  if (known && known.item.version >= item.version) return false;
  const wanted = decodeURIComponent(location.hash.slice(1)) === item.line;
  const element = lineOf(item, known ? known.element.querySelector("details").open : wanted);
  if (known) {
    const hadFocus = known.element.contains(document.activeElement);
    known.element.replaceWith(element);
    if (hadFocus) element.querySelector("summary").focus();
  } else {
    const list = dayOf(item).querySelector("ol");
    const after = [...list.children].find((other) => order(item, shown.items.get(other)) < 0);
    list.insertBefore(element, after || null);
  }
  if (isNew) element.classList.add("new");
  shown.items.set(element, item);
  shown.lines.set(item.line, { item, element });
  at("none").hidden = true;
  return true;
}

async function page(path) {
  const mine = shown;
  const answer = await ask(path, mine.stop.signal);
  if (mine !== shown) return;
  answer.items.forEach((item) => put(item, false));
  mine.next = answer.next;
  at("more").hidden = !answer.next;
  at("none").hidden = mine.lines.size > 0;
}

// ---- accounts, devices, preferences ----------------------------------------------------------------

function cardOf(account) {
  const card = make("article", { kind: "account" }, make("h3", {}, stranger(account.account_id)),
    make("p", { kind: "role", text: words(ROLES, account.audience) }));
  if (account.is_removed) {
    card.append(make("p", { kind: "quiet", text: "No longer theirs: nothing new comes from it." }));
  } else if (account.balance) {
    card.append(make("p", { kind: "available", text: money(account.balance.available) }),
      make("p", { text: "available" }),
      facts([["Booked", money(account.balance.booked)], ["Held", money(account.balance.held)]]));
  }
  return card;
}

const offsetOf = (position) => Number(position.split(":")[2]);

function hold(account) {
  const known = shown.accounts.get(account.account_id);
  if (known && offsetOf(known.position) > offsetOf(account.position)) return;
  shown.accounts.set(account.account_id, account);
  const names = [...shown.accounts.keys()].sort();
  at("accounts").replaceChildren(...names.map((name) => cardOf(shown.accounts.get(name))));
}

function balanceOf(item) {
  const known = shown.accounts.get(item.account_id);
  if (known && !known.is_removed) {
    hold({ ...known, balance: item.balance, position: item.position });
  }
}

function box(id, ...children) {
  at(id).replaceChildren(make("div", { kind: "box" }, ...children));
}

function devices(answer) {
  if (answer.devices.length === 0) {
    return box("devices", make("p", { text: "None registered: nobody is pushed anything." }));
  }
  const list = make("ul");
  for (const device of answer.devices) {
    const what = `${words(PLATFORMS, device.platform)} \u00b7 ${device.address_hint}`;
    list.append(make("li", {}, stranger(device.device_id), make("small", {}, stranger(what))));
  }
  box("devices", list);
}

const minutes = (count) => `${String(Math.floor(count / 60)).padStart(2, "0")}:${String(count % 60).padStart(2, "0")}`;

function smallest([currency, minor]) {
  const format = new Intl.NumberFormat("en", { style: "currency", currency });
  const digits = format.resolvedOptions().maximumFractionDigits;
  const text = String(minor).padStart(digits + 1, "0");
  const cut = text.length - digits;
  const decimal = digits ? `${text.slice(0, cut)}.${text.slice(cut)}` : text;
  return `Nothing below ${money({ decimal, currency })}; declines always.`;
}

function preferences(wish) {
  const lines = [];
  if (wish.off.length) lines.push(`Not about ${wish.off.map((kind) => words(NOTICES, kind)).join(", ")}.`);
  lines.push(...Object.entries(wish.smallest_minor).map(smallest));
  if (wish.quiet) {
    const { from_minute: from, to_minute: to, zone } = wish.quiet;
    lines.push(`Quiet from ${minutes(from)} to ${minutes(to)}, ${zone}.`);
  }
  if (lines.length === 0) lines.push("Everything, at any time.");
  box("preferences", make("ul", {}, ...lines.map((text) => make("li", { text }))));
}

// ---- live ----------------------------------------------------------------------------------------

function listening(state, text) {
  at("live").dataset.state = state;
  at("live").textContent = text;
}

// One event stream, read by hand so that it can carry the token; resolves when it ends.
async function listen(mine, base) {
  const last = mine.lastId ? { "Last-Event-ID": mine.lastId } : {};
  const response = await fetch(`${base}/feed/live`, {
    headers: headers({ Accept: "text/event-stream", ...last }), signal: mine.stop.signal,
  });
  if (!response.ok) throw await refused(response);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done || mine !== shown) return;
    text += value;
    for (let end = text.indexOf("\n\n"); end >= 0; end = text.indexOf("\n\n")) {
      heard(mine, base, text.slice(0, end));
      text = text.slice(end + 2);
    }
  }
}

function heard(mine, base, block) {
  const event = { event: "message", data: "" };
  for (const row of block.split("\n")) {
    const colon = row.indexOf(":");
    if (colon > 0) event[row.slice(0, colon)] = row.slice(colon + 1).replace(/^ /, "");
  }
  if (event.id) mine.lastId = event.id;
  if (event.event === "ready") listening("on", "Live");
  if (event.event === "reload") page(`${base}/feed`).catch(() => {});
  if (event.event === "holding") hold(JSON.parse(event.data));
  if (event.event === "item") {
    const item = JSON.parse(event.data);
    if (put(item, true)) {
      balanceOf(item);
      const [label] = STATES[item.status] || [item.status];
      at("said").textContent = `${title(item)}, ${money(item.amount)}, ${label}`;
    }
  }
}

async function keepListening(mine, base) {
  let pause = 1000;
  while (mine === shown) {
    const began = Date.now();
    try {
      await listen(mine, base);
    } catch (error) {
      if (mine !== shown) return;
    }
    if (mine !== shown) return;
    listening("off", "Lost the stream, coming back");
    pause = Date.now() - began > 30000 ? 1000 : Math.min(pause * 2, 30000);
    await new Promise((wake) => setTimeout(wake, pause * (0.5 + Math.random())));
  }
}

// ---- a customer ----------------------------------------------------------------------------------

function fault(error) {
  if (error.name === "AbortError") return;
  const problem = error.problem;
  const text = problem ? `${problem.title}. ${problem.detail || ""}` : "The API does not answer. Is the worker running?";
  at("notice").textContent = text;
  at("notice").hidden = false;
}

async function show(customer) {
  if (shown) shown.stop.abort();
  shown = { customer, stop: new AbortController(), lines: new Map(), items: new WeakMap(), accounts: new Map(), next: null };
  const mine = shown;
  const base = `/v1/customers/${encodeURIComponent(customer)}`;
  for (const id of ["lines", "accounts", "devices", "preferences"]) at(id).replaceChildren();
  for (const id of ["notice", "more", "none", "view"]) at(id).hidden = true;
  at("empty").hidden = true;
  at("position").textContent = "";
  at("who").replaceChildren(stranger(customer));
  document.title = `${customer} \u00b7 tapline feed`;
  const stays = location.search === `?customer=${encodeURIComponent(customer)}` ? location.hash : "";
  history.replaceState(null, "", `?customer=${encodeURIComponent(customer)}${stays}`);
  listening("off", "Connecting");
  try {
    const accounts = await ask(`${base}/accounts`, mine.stop.signal);
    if (mine !== shown) return;
    at("view").hidden = false;
    accounts.accounts.forEach(hold);
    keepListening(mine, base);
    await page(`${base}/feed`);
    const [registered, wish] = await Promise.all(
      ["devices", "preferences"].map((what) => ask(`${base}/${what}`, mine.stop.signal)));
    if (mine !== shown) return;
    devices(registered);
    preferences(wish);
  } catch (error) {
    if (mine !== shown) return;
    fault(error);
    if (at("view").hidden) listening("off", "Not listening");
  }
}

at("search").addEventListener("submit", (event) => {
  event.preventDefault();
  const customer = at("customer").value.trim();
  if (customer) show(customer);
});
at("access").addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem("token", at("token").value);
  at("token").value = "";
  if (shown) show(shown.customer);
});
at("more").addEventListener("click", () => {
  if (shown && shown.next) page(shown.next).catch(fault);
});
const first = new URLSearchParams(location.search).get("customer");
if (first) {
  at("customer").value = first;
  show(first);
} else {
  at("customer").focus();
}
