// Keeps the page live. The server sends rendered rows; this puts them in place, touching only what differs,
// lets ages grow, and says so when nothing has come for a while: after sleep, or when the server is gone.
"use strict";
{
  const SILENT_MS = 12000; // the server sends at least every 5 s
  const LONGEST_RETRY_MS = 15000;
  const connection = document.getElementById("connection");
  const status = document.getElementById("status");
  const body = document.getElementById("meters");
  const table = document.getElementById("table");
  const none = document.getElementById("none");
  const listening = none.querySelector("time");
  const count = document.getElementById("count");
  const filter = document.getElementById("filter");
  const parser = document.createElement("template");
  let cursor = connection.dataset.cursor;
  let ahead = Date.now() - Number(connection.dataset.now); // this clock against the server's
  let heardAt = Date.now();
  let source = null;
  let tries = 0;
  let triedAt = 0;
  let timer = 0;

  const parse = (html) => {
    parser.innerHTML = html;
    return parser.content;
  };

  // Make `old` like `fresh` by the fewest replacements, so that a selection or a scroll position survives.
  const morph = (old, fresh) => {
    if (old.isEqualNode(fresh)) return;
    if (old.nodeName !== fresh.nodeName) {
      old.replaceWith(fresh);
      return;
    }
    if (old.nodeType !== Node.ELEMENT_NODE) {
      old.nodeValue = fresh.nodeValue;
      return;
    }
    for (const name of old.getAttributeNames()) if (!fresh.hasAttribute(name)) old.removeAttribute(name);
    for (const name of fresh.getAttributeNames()) {
      if (old.getAttribute(name) !== fresh.getAttribute(name)) old.setAttribute(name, fresh.getAttribute(name));
    }
    if (old.childNodes.length !== fresh.childNodes.length) {
      old.replaceChildren(...fresh.childNodes);
      return;
    }
    const children = [...fresh.childNodes];
    [...old.childNodes].forEach((child, i) => morph(child, children[i]));
  };

  // A meter heard for the first time: in its place if ordered by ID, else on top. The others stay where they are.
  const insert = (row) => {
    let before = body.firstElementChild;
    if (body.dataset.sort === "id") {
      while (before && Number(before.dataset.id) < Number(row.dataset.id)) before = before.nextElementSibling;
    }
    body.insertBefore(row, before);
  };

  const sift = (row) => {
    row.hidden = !row.dataset.id.includes(filter.value.trim());
  };

  // What may be off by a minute or more says so, and by how much if anything bounds it.
  const doubt = (most) => (most === undefined ? "" : ` (${connection.dataset.estimate}${most && ` ± ${most}`})`);

  const grow = () => {
    const now = Date.now() - ahead;
    const { lang } = document.documentElement;
    for (const time of document.querySelectorAll("main time")) {
      const s = Math.max(0, Math.floor((now - Date.parse(time.dateTime)) / 1000));
      const text =
        s < 60 ? `${s} s` : s < 3600 ? `${Math.floor(s / 60)} min`
        : s < 172800 ? `${Math.floor(s / 3600)} h` : `${Math.floor(s / 86400)} d`;
      if (time.firstChild.nodeValue !== text) time.firstChild.nodeValue = text;
      if (!time.title) time.title = new Date(time.dateTime).toLocaleString(lang) + doubt(time.dataset.doubt);
    }
  };

  const say = (live) => {
    const text = live
      ? connection.dataset.live
      : `${connection.dataset.stale} ${new Date(heardAt).toLocaleTimeString(document.documentElement.lang)}`;
    if (connection.textContent !== text) connection.textContent = text;
    connection.className = `connection ${live ? "live" : "stale"}`;
    document.body.classList.toggle("stale", !live);
  };

  const take = (event) => {
    const told = JSON.parse(event.data);
    cursor = event.lastEventId;
    ahead = Date.now() - told.now;
    heardAt = Date.now();
    tries = 0;
    const rows = [...parse(told.rows).children];
    if (told.full) {
      const kept = new Set(rows.map((row) => row.id));
      for (const row of [...body.rows]) if (!kept.has(row.id)) row.remove();
    }
    for (const fresh of rows) {
      const old = document.getElementById(fresh.id);
      if (old) {
        fresh.hidden = old.hidden;
        morph(old, fresh);
      } else {
        sift(fresh);
        insert(fresh);
      }
    }
    if (told.status !== null) {
      const fresh = status.cloneNode(false);
      fresh.append(parse(told.status));
      morph(status, fresh);
    }
    if (told.listening !== null) {
      listening.dateTime = told.listening;
      listening.title = "";
    }
    count.textContent = told.count;
    none.hidden = body.rows.length > 0;
    table.hidden = body.rows.length === 0;
    grow();
    say(true);
  };

  const connect = () => {
    clearTimeout(timer);
    if (source) source.close();
    triedAt = Date.now();
    source = new EventSource(`${connection.dataset.events}&cursor=${encodeURIComponent(cursor)}`);
    source.addEventListener("update", take);
    // The browser's own retry stops for good when it gets an answer that is no stream, such as a proxy's error.
    source.addEventListener("error", () => {
      source.close();
      say(false);
      tries += 1;
      clearTimeout(timer);
      timer = setTimeout(connect, Math.random() * Math.min(LONGEST_RETRY_MS, 500 * 2 ** tries));
    });
  };
  const watch = () => {
    grow();
    if (Date.now() - Math.max(heardAt, triedAt) > SILENT_MS) {
      say(false);
      connect();
    }
  };

  document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && watch());
  addEventListener("online", connect);
  addEventListener("pagehide", () => source && source.close());
  addEventListener("pageshow", (event) => event.persisted && connect());
  filter.addEventListener("input", () => [...body.rows].forEach(sift));
  filter.closest("label").hidden = false;
  [...body.rows].forEach(sift);
  setInterval(watch, 1000);
  connect();
}
