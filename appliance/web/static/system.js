// Compares this phone's clock with the appliance's, and tells it the phone's when asked to.
"use strict";
{
  const TRIES = 3;
  const ANSWER_MS = 8000;
  const language = document.documentElement.lang;
  const form = document.getElementById("phone");
  const own = document.getElementById("own-time");
  const difference = document.getElementById("difference");
  const section = document.getElementById("clock");
  const shown = new Date();
  let ahead = shown.getTime() - Number(section.dataset.now); // this clock against the appliance's

  // What the appliance's clock showed, and what this one did in the middle of the round trip; the quickest of a few.
  const compare = async () => {
    let best = null;
    for (let n = 0; n < TRIES; n += 1) {
      const began = performance.now();
      const answer = await fetch("/system/clock", { cache: "no-store", signal: AbortSignal.timeout(ANSWER_MS) });
      const round = performance.now() - began;
      const now = Date.now();
      if (!answer.ok || answer.redirected) throw new Error("no answer");
      const told = await answer.json();
      const found = { stamp: told.stamp, own: told.utc_ms, phone: Math.round(now - round / 2), round: Math.ceil(round) };
      if (!best || found.round < best.round) best = found;
    }
    return best;
  };

  const length = (ms) => {
    const units = [[86400000, "day"], [3600000, "hour"], [60000, "minute"], [1000, "second"]];
    const [unit, name] = units.find(([least]) => ms >= 2 * least) || units[3];
    const digits = name === "second" && ms < 10000 ? 1 : 0;
    const options = { style: "unit", unit: name, unitDisplay: "long", maximumFractionDigits: digits };
    return new Intl.NumberFormat(language, options).format(ms / unit);
  };
  const say = (found) => {
    ahead = found.phone - found.own;
    const { same, ahead: before, behind } = form.dataset;
    const text = Math.abs(ahead) <= Math.max(500, found.round) ? same : ahead > 0 ? before : behind;
    difference.textContent = text.replace("{time}", length(Math.abs(ahead)));
  };

  const there = Zone.inFull;
  const here = Zone.writer({ timeZone: Zone.phones, seconds: true });
  const head = own.textContent.startsWith("≈") ? "≈ " : "";
  const phone = document.getElementById("phone-time");
  const phoneThere = document.getElementById("phone-time-there");
  const tick = () => {
    const now = Date.now();
    own.textContent = `${head}${there(now - ahead)}`;
    phone.textContent = here(now);
    phoneThere.textContent = there(now);
    phoneThere.parentElement.hidden = phoneThere.textContent === phone.textContent;
  };

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = form.querySelector("button");
    button.disabled = true;
    try {
      const found = await compare();
      form.elements.stamp.value = found.stamp;
      form.elements.utc_ms.value = found.phone;
      form.elements.round_trip_ms.value = found.round;
      form.submit();
    } catch {
      difference.textContent = form.dataset.away;
      button.disabled = false;
    }
  });

  form.hidden = false;
  tick();
  setInterval(tick, 1000);
  compare().then(say, () => { difference.textContent = form.dataset.away; });
}
