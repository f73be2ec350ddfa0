// What pages have in common: ages that grow, and a word when nothing has come for a while; of live ones a stream of
// events that survives sleep and a server that starts again, of the others a question now and then whether it is there.
"use strict";
const Page = (() => {
  const SILENT_MS = 12000; // the server sends at least every 5 s
  const LONGEST_RETRY_MS = 15000;
  const ASK_MS = 5000;
  const ANSWER_MS = 8000;
  const connection = document.getElementById("connection");
  let ahead = Date.now() - Number(connection.dataset.now); // this clock against the server's
  let heardAt = Date.now();

  // What may be off by a minute or more says so, and by how much if anything bounds it.
  const doubt = (most) => (most === undefined ? "" : ` (${connection.dataset.estimate}${most && ` ± ${most}`})`);

  const inFull = (time) => Zone.inFull(Date.parse(time.dateTime)) + doubt(time.dataset.doubt);

  // How long that is, in units that every language writes alike.
  const span = (s) =>
    s < 60 ? `${s} s` : s < 3600 ? `${Math.floor(s / 60)} min`
    : s < 172800 ? `${Math.floor(s / 3600)} h` : `${Math.floor(s / 86400)} d`;

  const grow = () => {
    const now = Date.now() - ahead;
    for (const time of document.querySelectorAll("main time:not(.fixed)")) {
      const text = span(Math.max(0, Math.floor((now - Date.parse(time.dateTime)) / 1000)));
      if (time.firstChild.nodeValue !== text) time.firstChild.nodeValue = text;
      if (!time.title) time.title = inFull(time);
    }
  };
  const say = (live) => {
    // By tens of seconds: whoever has it read aloud is told each time that it changes.
    const s = Math.floor((Date.now() - heardAt) / 1000);
    const age = span(s < 60 ? Math.max(10, s - (s % 10)) : s);
    const text = live ? connection.dataset.live : connection.dataset.stale.replace("{}", age);
    if (connection.textContent !== text) connection.textContent = text;
    connection.className = `connection ${live ? (text ? "live" : "") : "stale"}`;
    document.body.classList.toggle("stale", !live);
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

  const parse = (html) => {
    const parser = document.createElement("template");
    parser.innerHTML = html;
    return parser.content;
  };

  // Take events from `address(cursor)` from now on; `take` is given what each tells. Returns what ends it.
  const listen = (address, cursor, take) => {
    let source = null;
    let tries = 0;
    let triedAt = 0;
    let timer = 0;
    let ended = false;
    const connect = () => {
      if (ended) return;
      clearTimeout(timer);
      if (source) source.close();
      triedAt = Date.now();
      source = new EventSource(address(cursor));
      source.addEventListener("update", (event) => {
        const told = JSON.parse(event.data);
        // Days and times of the whole page are those of the zone that it was made in.
        if (told.zone !== Zone.told) location.reload();
        cursor = event.lastEventId;
        ahead = Date.now() - told.now;
        heardAt = Date.now();
        tries = 0;
        take(told);
        grow();
        say(true);
      });
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
      if (Date.now() - Math.max(heardAt, triedAt) > SILENT_MS) {
        say(false);
        connect();
      }
    };
    const wake = () => document.visibilityState === "visible" && watch();
    const leave = () => source && source.close();
    const back = (event) => event.persisted && connect();
    const on = [[document, "visibilitychange", wake], [window, "online", connect], [window, "pagehide", leave]];
    on.push([window, "pageshow", back]);
    for (const [target, kind, handler] of on) target.addEventListener(kind, handler);
    const ticking = setInterval(watch, 1000);
    connect();
    return () => {
      ended = true;
      clearInterval(ticking);
      clearTimeout(timer);
      if (source) source.close();
      for (const [target, kind, handler] of on) target.removeEventListener(kind, handler);
    };
  };

  // A page without a stream: whether the appliance answers at all.
  const ask = async () => {
    if (document.visibilityState === "visible") {
      try {
        await fetch(connection.dataset.ask, { cache: "no-store", signal: AbortSignal.timeout(ANSWER_MS) });
        heardAt = Date.now();
        say(true);
      } catch {
        say(false);
      }
    }
    setTimeout(ask, ASK_MS);
  };

  if (connection.dataset.ask) setTimeout(ask, ASK_MS);
  else setInterval(grow, 1000);
  const now = () => Date.now() - ahead; // by the server's clock
  return { grow, listen, morph, now, parse };
})();
