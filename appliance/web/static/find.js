// The level of one meter, large and live: whether it gets stronger, the best and the mean of this visit, a strip of the
// last minutes; a tone, whose pitch is the level, and a tremble for each message. The visit outlives a reload.
"use strict";
{
  const STRIP_MS = 600000;
  const VISIT_MS = 1800000; // who has heard nothing for so long is on another visit
  const SAID_MS = 10000; // a screen reader is told no more often
  const MOST_POINTS = 600;
  const STEADY_DB = 1.5; // one message differs from the next by as much anyway
  const [WEAK_DB, FAIR_DB] = [12, 20];
  const level = document.getElementById("level");
  const { full, old, stronger, weaker, same, events, heard, edition } = level.dataset;
  const element = (id) => document.getElementById(id);
  const number = new Intl.NumberFormat(document.documentElement.lang, { minimumFractionDigits: 1, maximumFractionDigits: 1 });
  const told = (db) => number.format(db).replace("-", "−");
  const own = `find ${location.pathname}`;

  // Storage may be forbidden: then nothing is remembered.
  const keep = (where, name, value) => {
    try {
      window[where].setItem(name, value);
    } catch { /* forgotten at the next reload */ }
  };
  const kept = (where, name) => {
    try {
      return window[where].getItem(name);
    } catch {
      return null;
    }
  };

  // A visit: how many messages, of how many the level is known, their sum, the best, and the latest as [time, dB].
  const begun = () => ({ heard, edition, count: 0, measured: 0, sum: 0, best: null, at: Date.now(), points: [] });
  const resumed = () => {
    try {
      const found = JSON.parse(kept("sessionStorage", own));
      if (Date.now() - found.at < VISIT_MS) return found;
    } catch { /* none, or none of ours */ }
    return begun();
  };
  let visit = resumed();
  let trend = null;

  /* What it sounds and feels like */

  let audio = null;
  const pressed = {};
  const pitch = (db) => 250 * 2 ** (Math.min(Math.max(db, 0), full) / 18); // 0 dB: 250 Hz, 60 dB: 2.5 kHz
  const beep = (from, to) => {
    if (!pressed.sound || !audio || audio.state !== "running") return;
    const now = audio.currentTime;
    const tone = audio.createOscillator();
    const loud = audio.createGain();
    // It glides from the level before to this one: up is stronger.
    tone.type = "triangle";
    tone.frequency.setValueAtTime(pitch(from), now);
    tone.frequency.exponentialRampToValueAtTime(pitch(to), now + 0.15);
    loud.gain.setValueAtTime(0.0001, now);
    loud.gain.exponentialRampToValueAtTime(0.5, now + 0.02);
    loud.gain.setValueAtTime(0.5, now + 0.2);
    loud.gain.exponentialRampToValueAtTime(0.0001, now + 0.3);
    tone.connect(loud).connect(audio.destination);
    tone.start(now);
    tone.stop(now + 0.32);
  };
  const tremble = (db) => {
    if (!pressed.vibration) return;
    navigator.vibrate(db < WEAK_DB ? [80] : db < FAIR_DB ? [80, 70, 80] : [80, 70, 80, 70, 80]);
  };

  // A browser lets a page sound only once somebody has touched it.
  const TOUCHES = ["mousedown", "pointerup", "keydown"];
  let wasSilent = false;
  const wakeAudio = async () => {
    audio = audio || new AudioContext();
    await audio.resume();
    if (audio.state !== "running") return;
    element("touch").hidden = true;
    for (const kind of TOUCHES) document.removeEventListener(kind, wakeAudio);
  };
  const awaitTouch = () => {
    element("touch").hidden = false;
    for (const kind of TOUCHES) document.addEventListener(kind, wakeAudio);
  };

  let lock = null;
  const stayAwake = async () => {
    if (!pressed.awake || document.visibilityState !== "visible" || (lock && !lock.released)) return;
    try {
      lock = await navigator.wakeLock.request("screen");
      if (!pressed.awake) lock.release();
    } catch {
      press("awake", false); // saving its battery, it does not
    }
  };

  const button = (name) => document.querySelector(`[data-toggle="${name}"]`);
  const press = (name, on) => {
    pressed[name] = on;
    button(name).setAttribute("aria-pressed", on);
    keep("localStorage", `find ${name}`, on ? "1" : "");
  };
  const possible = {
    sound: "AudioContext" in window,
    vibration: "vibrate" in navigator,
    awake: "wakeLock" in navigator,
  };
  const now = {
    sound: async () => {
      await wakeAudio();
      beep(latest() ?? 0, latest() ?? 0);
    },
    vibration: () => tremble(0),
    awake: stayAwake,
  };
  for (const name of Object.keys(possible)) {
    button(name).hidden = !possible[name];
    if (!possible[name]) continue;
    if (kept("localStorage", `find ${name}`)) press(name, true);
    button(name).addEventListener("click", () => {
      // The touch that wakes the sound is not one that switches it off.
      press(name, (name === "sound" && wasSilent) || !pressed[name]);
      if (pressed[name]) now[name]();
      else if (name === "awake" && lock) lock.release();
    });
  }
  element("insecure").hidden = possible.awake || window.isSecureContext;
  if (pressed.sound) awaitTouch();
  for (const kind of ["pointerdown", "keydown"]) {
    document.addEventListener(kind, () => { wasSilent = !element("touch").hidden; }, true);
  }
  stayAwake();
  document.addEventListener("visibilitychange", () => {
    stayAwake();
    // A telephone call, or a locked screen, silences it.
    if (document.visibilityState === "visible" && audio && pressed.sound) audio.resume();
  });

  /* What is seen */

  const latest = () => (visit.points.length ? visit.points.at(-1)[1] : null);
  const percent = (db) => `${(100 * Math.min(Math.max(db, 0), full)) / full}%`;
  const mean = () => (visit.measured ? visit.sum / visit.measured : null);

  const line = (kind, db) => {
    const drawn = level.querySelector(`.gauge .${kind}`);
    if (!drawn || db === null) return;
    drawn.setAttribute("x1", percent(db));
    drawn.setAttribute("x2", percent(db));
    drawn.setAttribute("visibility", "visible");
  };

  const show = () => {
    const said = element("trend");
    const [sign, words] = trend === null ? ["", said.dataset.wait] : trend >= STEADY_DB ? ["up", stronger] : trend <= -STEADY_DB ? ["down", weaker] : ["level", same];
    const text = trend === null ? words : `${words} ${trend > 0 ? "+" : ""}${told(trend)} dB`;
    if (said.textContent !== text) said.textContent = text;
    said.className = `trend ${sign}`.trim();
    element("count").textContent = visit.count;
    element("best").textContent = visit.best === null ? "–" : `${told(visit.best)} dB`;
    element("mean").textContent = mean() === null ? "–" : `${told(mean())} dB`;
    line("best", visit.best);
    line("mean", mean());
    date();
    draw();
  };
  // What was heard minutes ago, or elsewhere, tells nothing of where the antenna stands now.
  const date = () => {
    const time = level.querySelector(".since time");
    level.classList.toggle("old", Boolean(time) && Freshness.now() - Date.parse(time.dateTime) > old * 1000);
    level.classList.toggle("before", visit.count === 0);
  };

  const SVG = "http://www.w3.org/2000/svg";
  const made = (name, attributes, text = "") => {
    const drawn = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) drawn.setAttribute(key, value);
    drawn.textContent = text;
    return drawn;
  };
  const draw = () => {
    const strip = element("strip");
    const [width, height] = [strip.clientWidth, strip.clientHeight];
    if (!width) return;
    const [left, bottom, top] = [30, 20, 8];
    const end = Date.now();
    const x = (at) => left + ((width - left - 8) * (at - end + STRIP_MS)) / STRIP_MS;
    const y = (db) => top + (height - bottom - top) * (1 - Math.min(Math.max(db, 0), full) / full);
    const parts = [];
    for (let db = 0; db <= full; db += 20) {
      parts.push(made("line", { class: "grid", x1: left, x2: width - 8, y1: y(db), y2: y(db) }));
      parts.push(made("text", { x: left - 8, y: y(db) + 4, "text-anchor": "end" }, db));
    }
    for (const minutes of [10, 5, 0]) {
      const anchor = minutes === 10 ? "start" : minutes ? "middle" : "end";
      parts.push(made("text", { x: x(end - minutes * 60000), y: height - 4, "text-anchor": anchor }, minutes ? `−${minutes} min` : strip.dataset.now));
    }
    const shown = visit.points.filter(([at]) => at > end - STRIP_MS);
    if (shown.length > 1) parts.push(made("polyline", { class: "course", points: shown.map(([at, db]) => `${x(at)},${y(db)}`).join(" ") }));
    for (const [at, db] of shown) parts.push(made("circle", { class: "point", r: 3.5, cx: x(at), cy: y(db) }));
    strip.replaceChildren(...parts);
  };

  let saidAt = 0;
  let saying = 0;
  const say = () => {
    clearTimeout(saying);
    saying = setTimeout(() => {
      saidAt = Date.now();
      element("said").textContent = latest() === null ? "" : `${told(latest())} dB. ${element("trend").textContent}`;
    }, Math.max(0, saidAt + SAID_MS - Date.now()));
  };

  /* What happens */

  const hear = (db) => {
    const before = visit.points.slice(-3).map(([, one]) => one);
    visit.count += 1;
    visit.at = Date.now();
    const usual = before.length ? before.reduce((sum, one) => sum + one, 0) / before.length : null;
    if (db !== null) {
      trend = usual === null ? null : db - usual;
      visit.measured += 1;
      visit.sum += db;
      visit.best = Math.max(visit.best ?? db, db);
      visit.points = [...visit.points, [visit.at, db]].slice(-MOST_POINTS);
    }
    beep(usual ?? db ?? 0, db ?? 0);
    tremble(db ?? 0);
    say();
  };

  Page.listen(() => events, "", (said) => {
    if (said.html !== null) {
      const fresh = level.cloneNode(false);
      fresh.append(Page.parse(said.html));
      Page.morph(level, fresh);
    }
    // After a restart the appliance may know of less than it did: that is nothing heard anew.
    const isNew = said.edition === visit.edition && said.heard && (!visit.heard || BigInt(said.heard) > BigInt(visit.heard));
    if (isNew) hear(said.db);
    if (isNew || said.edition !== visit.edition) {
      visit.heard = said.heard;
      visit.edition = said.edition;
      keep("sessionStorage", own, JSON.stringify(visit));
    }
    show();
  }, () => pressed.sound); // in a pocket it is heard
  element("anew").addEventListener("click", () => {
    visit = { ...begun(), heard: visit.heard, edition: visit.edition };
    trend = null;
    keep("sessionStorage", own, JSON.stringify(visit));
    show();
  });
  element("visit").hidden = false;
  setInterval(() => { date(); draw(); }, 1000);
  addEventListener("resize", draw);
  show();
}
