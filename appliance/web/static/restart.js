// Asks until another run of the program answers, then goes on to its page.
"use strict";
{
  const INTERVAL_MS = 1000;
  const LONG_MS = { program: 60000, machine: 240000 };
  const waiting = document.getElementById("waiting");
  const since = Date.now();
  waiting.textContent = waiting.dataset.waiting;
  const ask = async () => {
    try {
      const answer = await fetch("/system/clock", { cache: "no-store" });
      // Sessions end with the machine: what it answers then is the log-in.
      if (answer.ok && (answer.redirected || (await answer.json()).run !== waiting.dataset.run)) {
        location.replace(waiting.dataset.next || "/system");
        return;
      }
    } catch {
      // It is away, as it should be.
    }
    if (Date.now() - since > LONG_MS[waiting.dataset.what]) waiting.textContent = waiting.dataset.long;
    setTimeout(ask, INTERVAL_MS);
  };
  setTimeout(ask, INTERVAL_MS);
}
