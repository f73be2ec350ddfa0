// What keeps a page live: a stream of events that survives sleep and a server that starts again, and what it brings put
// in the place of what is there. A page that nobody sees has no stream, for a browser has six connections to a server.
"use strict";
const Page = (() => {
  const SILENT_MS = 12000; // the server sends at least every 5 s
  const LONGEST_RETRY_MS = 15000;
  const HIDDEN_MS = 5000; // who was only a moment away comes back to a live page

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

  // Take events from `address(cursor)` from now on; `take` is given what each tells. A page that nobody sees takes none,
  // unless it `goesOn`. Returns what ends it.
  const listen = (address, cursor, take, goesOn = () => false) => {
    let source = null;
    let tries = 0;
    let triedAt = 0;
    let timer = 0;
    let hiding = 0;
    let hasEnded = false;
    const isWanted = () => !hasEnded && (document.visibilityState === "visible" || goesOn());
    const close = () => {
      clearTimeout(timer);
      if (source) source.close();
      source = null;
    };
    const connect = () => {
      close();
      if (!isWanted()) return;
      triedAt = Date.now();
      source = new EventSource(address(cursor));
      source.addEventListener("update", (event) => {
        const told = JSON.parse(event.data);
        // Days and times of the whole page are those of the zone that it was made in.
        if (told.zone !== Zone.told) location.reload();
        cursor = event.lastEventId;
        tries = 0;
        Freshness.heard(told.now);
        take(told);
        Freshness.grow();
      });
      // The browser's own retry stops for good when it gets an answer that is no stream, such as a proxy's error.
      source.addEventListener("error", () => {
        close();
        Freshness.lost();
        later();
      });
    };
    const later = () => {
      tries += 1;
      clearTimeout(timer);
      timer = setTimeout(renew, Math.random() * Math.min(LONGEST_RETRY_MS, 500 * 2 ** tries));
    };
    // Whoever is not logged in any more is told so, which a stream cannot.
    const renew = async () => {
      close();
      if (!isWanted()) return;
      const isThere = await Freshness.isThere();
      if (source) return;
      if (isThere) connect();
      else later();
    };
    const watch = () => {
      if (!source || Math.min(Freshness.silentMs(), Date.now() - triedAt) <= SILENT_MS) return;
      Freshness.lost();
      connect();
    };
    const turn = () => {
      clearTimeout(hiding);
      if (document.visibilityState !== "visible") hiding = setTimeout(() => isWanted() || close(), HIDDEN_MS);
      else if (source) watch();
      else {
        if (Freshness.silentMs() > SILENT_MS) Freshness.lost();
        renew();
      }
    };
    const back = (event) => event.persisted && renew();
    const on = [[document, "visibilitychange", turn], [window, "online", renew], [window, "pagehide", close]];
    on.push([window, "pageshow", back]);
    for (const [target, kind, handler] of on) target.addEventListener(kind, handler);
    const ticking = setInterval(watch, 1000);
    connect();
    return () => {
      hasEnded = true;
      clearInterval(ticking);
      clearTimeout(hiding);
      close();
      for (const [target, kind, handler] of on) target.removeEventListener(kind, handler);
    };
  };

  return { listen, morph, parse };
})();
