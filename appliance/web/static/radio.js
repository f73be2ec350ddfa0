// Keeps a radio's page live: frames of its spectrum, and the parts of the page that changed. Forms are sent without
// leaving the page, so that the picture goes on while something is set.
"use strict";
{
  const OLD_MS = 4000;
  const root = document.getElementById("radio");
  const canvas = document.getElementById("spectrum");
  const pause = document.getElementById("pause");
  const readout = document.getElementById("pointed");
  const picture = canvas ? Spectrum(canvas) : null;
  let leave = () => {};
  let paused = false;
  let framedAt = Date.now();

  const section = (name) => root.querySelector(`[data-section="${name}"]`);

  // What somebody types stays, and so does what was wrong with it until they send it again.
  const renew = (name, html) => {
    const old = section(name);
    if (!old) return;
    const fresh = old.cloneNode(false);
    fresh.append(Page.parse(html));
    if (!old.querySelector("[role=alert]")) {
      Page.morph(old, fresh);
    } else if (old.children.length === fresh.children.length) {
      const parts = [...fresh.children];
      [...old.children].forEach((part, i) => part.querySelector("[role=alert]") || Page.morph(part, parts[i]));
    }
  };

  const take = (told) => {
    if (told.frame && picture && !paused) {
      framedAt = Date.now();
      canvas.classList.remove("waiting");
      picture.take(told.frame);
      readout.textContent = picture.pointed();
    }
    for (const [name, html] of Object.entries(told.html)) renew(name, html);
  };

  const listen = () => {
    leave();
    leave = Page.listen(() => `${root.dataset.events}${picture && !paused ? "" : "&picture=0"}`, "", take);
  };

  // What it is set to by now, said where the finger is.
  const SAID_MS = 15000;
  let saying = 0;
  const say = (place, text) => {
    clearTimeout(saying);
    for (const done of root.querySelectorAll(".done")) done.textContent = done === place ? text : "";
    if (!place || !text) return;
    place.scrollIntoView({ block: "nearest" });
    saying = setTimeout(() => (place.textContent = ""), SAID_MS);
  };

  // The whole page is the answer: its sections take the place of those here.
  const send = async (form) => {
    // What comes meanwhile may put another form in this one's place.
    const place = form.closest("section").querySelector(".done");
    const answer = await fetch(form.action, { method: "POST", body: new URLSearchParams(new FormData(form)) });
    const sets = /\/(tune|reset)$/.test(new URL(form.action).pathname);
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    if (!page.getElementById("radio")) {
      location.reload();
      return;
    }
    for (const fresh of page.querySelectorAll("[data-section]")) section(fresh.dataset.section)?.replaceChildren(...fresh.childNodes);
    Freshness.grow();
    const again = root.querySelector("[aria-invalid]") || root.querySelector(`form[action="${new URL(form.action).pathname}"] button`);
    if (again) again.focus();
    say(place, (answer.ok && sets && root.querySelector(".tuned")?.dataset.said) || "");
    estimate();
  };

  // How long a survey takes, while its fields are filled in.
  const takes = () => document.getElementById("survey-takes");
  const estimate = () => {
    if (!takes()) return;
    const field = (name) => Number(document.getElementById(`survey-${name}`).value.replace(",", "."));
    const centres = Math.floor(Math.round(((field("to") - field("from")) / field("step")) * 1e6) / 1e6) + 1;
    const s = centres * field("dwell");
    const told = s < 120 ? `${Math.round(s)} s` : `${Math.round(s / 60)} min`;
    takes().textContent = s > 0 && s <= 7200 ? `${centres} × ${field("dwell")} s = ${told}` : "";
  };

  root.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.method !== "post") return;
    event.preventDefault();
    if (form.dataset.sent) return;
    form.dataset.sent = "1";
    say(null, "");
    send(form).catch(() => (form.isConnected ? form.submit() : location.reload())).finally(() => delete form.dataset.sent);
  });
  root.addEventListener("input", (event) => {
    if (event.target.id === "gain-db" && event.target.value) document.getElementById("by-hand").checked = true;
    estimate();
  });

  if (picture) {
    // A picture of the past looks like one.
    setInterval(() => canvas.classList.toggle("old", !paused && Date.now() - framedAt > OLD_MS), 1000);
    canvas.hidden = false;
    pause.hidden = false;
    pause.addEventListener("click", () => {
      paused = !paused;
      pause.textContent = paused ? pause.dataset.goOn : pause.dataset.pause;
      listen();
    });
    for (const kind of ["pointermove", "pointerdown", "pointerleave"]) {
      canvas.addEventListener(kind, () => (readout.textContent = picture.pointed()));
    }
  }
  estimate();
  listen();
}
