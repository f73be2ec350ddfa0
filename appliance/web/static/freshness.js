// Whether what a page shows is still so: ages that grow, and a word when nothing has come for a while, or when the
// session has ended by which the page was made. A page without a stream asks now and then.
"use strict";
const Freshness = (() => {
  const ASK_MS = 5000;
  const ANSWER_MS = 8000;
  const connection = document.getElementById("connection");
  const words = connection.dataset;
  let ahead = Date.now() - Number(words.now); // this clock against the server's
  let heardAt = Date.now();
  const now = () => Date.now() - ahead; // by the server's clock
  const silentMs = () => Date.now() - heardAt;

  // What may be off by a minute or more says so, and by how much if anything bounds it.
  const doubt = (most) => (most === undefined ? "" : ` (${words.estimate}${most && ` ± ${most}`})`);

  const inFull = (time) => Zone.inFull(Date.parse(time.dateTime)) + doubt(time.dataset.doubt);

  // How long that is, in units that every language writes alike.
  const span = (s) =>
    s < 60 ? `${s} s` : s < 3600 ? `${Math.floor(s / 60)} min`
    : s < 172800 ? `${Math.floor(s / 3600)} h` : `${Math.floor(s / 86400)} d`;

  const grow = () => {
    for (const time of document.querySelectorAll("main time:not(.fixed)")) {
      const text = span(Math.max(0, Math.floor((now() - Date.parse(time.dateTime)) / 1000)));
      if (time.firstChild.nodeValue !== text) time.firstChild.nodeValue = text;
      if (!time.title) time.title = inFull(time);
    }
  };

  const say = (state, text, ...more) => {
    connection.className = `connection ${state}`.trim();
    document.body.classList.toggle("stale", state === "stale");
    if (connection.textContent !== text) connection.replaceChildren(text, ...more);
  };
  // What is shown is of now, by the server's clock if it told what that says.
  const heard = (toldNow) => {
    heardAt = Date.now();
    if (toldNow !== undefined) ahead = heardAt - toldNow;
    say(words.live ? "live" : "", words.live);
  };
  const lost = () => {
    // By tens of seconds: whoever has it read aloud is told each time that it changes.
    const s = Math.floor(silentMs() / 1000);
    say("stale", words.stale.replace("{}", span(s < 60 ? Math.max(10, s - (s % 10)) : s)));
  };
  const ended = () => {
    if (connection.querySelector("a")) return;
    const logIn = document.createElement("a");
    logIn.href = `/login?next=${encodeURIComponent(location.pathname + location.search)}`;
    logIn.textContent = words.logIn;
    say("stale", `${words.ended} `, logIn);
  };

  // Whether the appliance answers, and still knows who has logged in; otherwise that is said.
  const isThere = async () => {
    try {
      const signal = AbortSignal.timeout(ANSWER_MS);
      const answer = await fetch(words.ask, { cache: "no-store", redirect: "manual", signal });
      if (answer.type !== "opaqueredirect") return true;
      ended();
    } catch {
      lost();
    }
    return false;
  };
  const ask = async () => {
    if (document.visibilityState === "visible" && (await isThere())) heard();
    setTimeout(ask, ASK_MS);
  };

  if (words.now) setInterval(grow, 1000);
  else setTimeout(ask, ASK_MS);
  return { grow, heard, isThere, lost, now, silentMs };
})();
