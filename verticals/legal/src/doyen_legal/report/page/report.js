"use strict";
(() => {
  const $ = (selector) => document.querySelector(selector);
  const all = (selector, root = document) => Array.from(root.querySelectorAll(selector));
  const body = document.body;
  document.documentElement.classList.add("scripted");
  const RANK = { reject: 0, risk: 1, needs_review: 2, info: 3, ok: 4 };
  const SEVERITY = { high: 0, medium: 1, low: 2, note: 3 };
  const KEY = `doyen-review:${body.dataset.document}`;
  const cards = all(".card");
  const byIndex = new Map(cards.map((card) => [card.id.slice(1), card]));
  const haystack = new Map(cards.map((card) => [card, card.textContent.toLowerCase()]));
  const status = new Set();
  let active = null;

  // Decisions: {finding id: {decision, note}}; a browser may refuse storage for local files.
  let decisions = {};
  try { decisions = JSON.parse(localStorage.getItem(KEY)) || {}; } catch { decisions = {}; }
  const decisionOf = (card) => (Object.hasOwn(decisions, card.dataset.id) ? decisions[card.dataset.id] : {});
  const save = () => { try { localStorage.setItem(KEY, JSON.stringify(decisions)); } catch { /* kept until the page closes */ } };

  function paint(card) {
    const { decision, note } = decisionOf(card);
    for (const button of all("[data-decision]", card)) button.setAttribute("aria-pressed", String(button.dataset.decision === decision));
    card.classList.toggle("decided", decision === "accepted" || decision === "rejected");
    const field = card.querySelector(".note");
    if (document.activeElement !== field) field.value = note || "";
  }
  function progress() {
    const done = cards.filter((card) => decisionOf(card).decision).length;
    $("#progress").textContent = cards.length ? `${done} of ${cards.length} decided` : "";
  }
  function decide(card, decision) {
    const entry = { ...decisionOf(card) };
    if (entry.decision === decision) delete entry.decision; else entry.decision = decision;
    decisions[card.dataset.id] = entry;
    save(); paint(card); progress();
  }

  const segments = (range) => {
    const found = [];
    for (const part of (range || "").split(" ").filter(Boolean)) {
      const [first, last] = part.split("-").map(Number);
      for (let n = first; n <= last; n++) { const mark = document.getElementById(`s${n}`); if (mark) found.push(mark); }
    }
    return found;
  };
  let lit = [];
  function select(card, { scrollText = true, scrollCard = true, focus = true } = {}) {
    for (const mark of lit) mark.classList.remove("on", "see");
    if (active) { active.classList.remove("active"); active.tabIndex = -1; }
    active = card;
    card.classList.add("active");
    card.tabIndex = 0;
    const own = segments(card.dataset.segments);
    const related = segments(card.dataset.related);
    for (const mark of related) mark.classList.add("see");
    for (const mark of own) mark.classList.add("on");
    lit = own.concat(related);
    if (focus) card.focus({ preventScroll: true });
    if (scrollCard) card.scrollIntoView({ block: "nearest" });
    if (scrollText && own.length) own[0].scrollIntoView({ block: "center" });
  }

  function filter() {
    const words = $("#search").value.toLowerCase().split(/\s+/).filter(Boolean);
    const kind = $("#kind").value, severity = $("#severity").value, decision = $("#decision").value;
    let shown = 0;
    for (const card of cards) {
      const { dataset } = card, taken = decisionOf(card).decision || "open", text = haystack.get(card);
      const fits = (!status.size || status.has(dataset.status)) && (!kind || kind === dataset.kind)
        && (!severity || severity === dataset.severity) && (!decision || decision === taken)
        && words.every((word) => text.includes(word));
      card.hidden = !fits;
      shown += fits;
    }
    $("#shown").textContent = shown === cards.length ? "" : `${shown} of ${cards.length} findings shown`;
  }
  function order() {
    const place = (card) => Number(card.dataset.place);
    const rank = (card) => RANK[card.dataset.status] * 10 + SEVERITY[card.dataset.severity];
    const keys = $("#order").value === "place" ? [place, rank] : [rank, place];
    cards.sort((a, b) => keys[0](a) - keys[0](b) || keys[1](a) - keys[1](b));
    $("#cards").append(...cards);
  }
  function tab(name) {
    for (const button of all("[role=tab]")) {
      const on = button.getAttribute("aria-controls") === name;
      button.setAttribute("aria-selected", String(on));
      button.tabIndex = on ? 0 : -1;
      document.getElementById(button.getAttribute("aria-controls")).hidden = !on;
    }
  }
  function clear() {
    status.clear();
    for (const chip of all(".chip")) chip.setAttribute("aria-pressed", "false");
    for (const field of all("#search, #kind, #severity, #decision")) field.value = "";
    filter();
  }
  function show(card) { if (card.hidden) clear(); tab("findings"); select(card); }
  function step(by) {
    const visible = cards.filter((card) => !card.hidden);
    if (!visible.length) return;
    const at = visible.indexOf(active);
    tab("findings");
    select(visible[at < 0 ? 0 : Math.min(visible.length - 1, Math.max(0, at + by))]);
  }
  function exported() {
    const rows = cards.filter((card) => decisions[card.dataset.id]?.decision || decisions[card.dataset.id]?.note)
      .map(({ dataset }) => ({ finding: dataset.id, label: dataset.label, kind: dataset.kind, decision: decisions[dataset.id].decision || null, note: decisions[dataset.id].note || "" }));
    return { schema_version: "1", document: { name: body.dataset.name, sha256: body.dataset.document }, report_created: body.dataset.created, exported: new Date().toISOString(), decisions: rows };
  }

  document.addEventListener("click", (event) => {
    const target = event.target instanceof Element ? event.target : null;
    if (!target) return;
    const button = target.closest("button");
    const card = target.closest(".card");
    const link = target.closest("[data-card]");
    const mark = target.closest("mark");
    if (link) { event.preventDefault(); const found = byIndex.get(link.dataset.card); if (found) show(found); }
    else if (button && button.dataset.decision) { select(card, { scrollText: false, scrollCard: false, focus: false }); decide(card, button.dataset.decision); }
    else if (button && button.dataset.status) {
      const name = button.dataset.status;
      if (!status.delete(name)) status.add(name);
      button.setAttribute("aria-pressed", String(status.has(name)));
      filter();
    } else if (button && button.getAttribute("role") === "tab") tab(button.getAttribute("aria-controls"));
    else if (target.id === "print") window.print();
    else if (target.id === "export") {
      const address = URL.createObjectURL(new Blob([JSON.stringify(exported(), null, 1)], { type: "application/json" }));
      const anchor = Object.assign(document.createElement("a"), { href: address, download: "decisions.json" });
      anchor.click();
      setTimeout(() => URL.revokeObjectURL(address), 1000);
    } else if (mark && mark.dataset.f) {
      // Several findings on one passage: each click goes to the next of them.
      const here = mark.dataset.f.split(" ").map((index) => byIndex.get(index)).filter(Boolean);
      const next = here[(here.indexOf(active) + 1) % here.length];
      if (next.hidden) clear();
      tab("findings");
      select(next, { scrollText: false });
    } else if (card && !target.closest("details, input, select")) {
      const go = target.closest("[data-go]");
      if (go) event.preventDefault();
      select(card, { scrollCard: false });
      if (go) document.getElementById(`s${go.dataset.go}`)?.scrollIntoView({ block: "center" });
    } else if (card && target.closest("[data-go]")) {
      event.preventDefault();
      select(card, { scrollCard: false, scrollText: false });
      document.getElementById(`s${target.closest("[data-go]").dataset.go}`)?.scrollIntoView({ block: "center" });
    }
  });
  document.addEventListener("input", (event) => {
    const { target } = event;
    if (target.classList.contains("note")) {
      const card = target.closest(".card");
      decisions[card.dataset.id] = { ...decisionOf(card), note: target.value };
      save();
    } else if (target.id === "order") order();
    else if (target.closest(".filters")) filter();
  });
  document.addEventListener("keydown", (event) => {
    const field = event.target.closest?.("input, select, textarea");
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Escape") { clear(); if (field) field.blur(); return; }
    if (field) return;
    if (event.target.getAttribute?.("role") === "tab" && (event.key === "ArrowRight" || event.key === "ArrowLeft")) {
      const tabs = all("[role=tab]");
      const next = tabs[(tabs.indexOf(event.target) + (event.key === "ArrowRight" ? 1 : tabs.length - 1)) % tabs.length];
      tab(next.getAttribute("aria-controls"));
      next.focus();
    } else if (event.key === "/") { event.preventDefault(); tab("findings"); $("#search").focus(); }
    else if (event.key === "j") step(1);
    else if (event.key === "k") step(-1);
    else if (active && event.key === "Enter" && event.target === active) select(active);
    else if (active && "arn".includes(event.key)) decide(active, { a: "accepted", r: "rejected", n: "needs_review" }[event.key]);
  });
  window.addEventListener("beforeprint", () => all("details").forEach((element) => { element.open = true; }));

  order();
  for (const card of cards) paint(card);
  progress();
  tab("findings");
  if (cards.length) cards.find((card) => !card.hidden).tabIndex = 0;
  const wanted = byIndex.get(location.hash.slice(2));
  if (/^#f\d/.test(location.hash) && wanted) show(wanted);
  else if (document.querySelector(`.panel${/^#[a-z]+$/.test(location.hash) ? location.hash : "#none"}`)) tab(location.hash.slice(1));
})();
