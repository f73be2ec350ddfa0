// The set-up: says that something takes a while, and keeps what changes by itself up to date.
"use strict";
{
  // The zone of this phone is offered first, and of the one that is chosen the time: who is asked may not know its name.
  const zone = document.getElementById("zone");
  const now = document.getElementById("zone-now");
  const sayNow = () => {
    const name = zone.selectedOptions[0].dataset.zone || zone.value;
    try {
      now.textContent = zone.dataset.now.replace("{}", Zone.writer({ timeZone: name })(Date.now()));
    } catch {
      now.textContent = ""; // a zone that is newer than the browser
    }
  };
  if (zone.value !== Zone.phones && [...zone.options].some((option) => option.value === Zone.phones)) {
    zone.options[0].after(new Option(zone.dataset.phones.replace("{}", Zone.phones), Zone.phones));
  }
  zone.addEventListener("change", sayNow);
  sayNow();

  for (const form of document.querySelectorAll("form[data-busy]")) {
    form.addEventListener("submit", (event) => {
      if (!event.submitter || event.submitter.value !== "try") return;
      event.submitter.textContent = form.dataset.busy;
      // Not before the form is sent, for a button that is disabled is not sent along.
      setTimeout(() => event.submitter.setAttribute("disabled", ""), 0);
    });
  }

  // A part that says so is fetched anew every so often, while somebody looks.
  const refresh = async (part) => {
    let fresh = null;
    if (document.visibilityState === "visible") {
      try {
        const answer = await fetch(part.dataset.from || "/set-up", { cache: "no-store" });
        if (answer.ok && !answer.redirected) {
          fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById(part.id);
        }
      } catch {
        // The network is away, as it may be while another is joined.
      }
    }
    if (fresh && !part.contains(document.activeElement)) {
      part.replaceWith(fresh);
      part = fresh;
    }
    if (part.dataset.every) setTimeout(refresh, Number(part.dataset.every), part);
  };
  for (const part of document.querySelectorAll("[data-every]")) setTimeout(refresh, Number(part.dataset.every), part);
}
