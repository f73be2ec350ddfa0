// Has a backup's passphrase tried before all of it is sent, shows how far that is, that a download begins, and after a
// restore waits for the program that begins with it.
"use strict";
{
  const INTERVAL_MS = 1000;
  const LONG_MS = 120000;
  // By which a backup and its passphrase are known.
  const FIRST_BYTES = 4096;

  // Until a program answers that has run for less time than this page has waited.
  const wait = (anew) => {
    const since = Date.now();
    const ask = async () => {
      try {
        const health = await (await fetch("/healthz", { cache: "no-store" })).json();
        if (health.uptime_s < (Date.now() - since) / 1000) {
          location.replace("/login?restored");
          return;
        }
      } catch {
        // It is away, as it should be.
      }
      if (Date.now() - since > LONG_MS) anew.textContent = anew.dataset.long;
      setTimeout(ask, INTERVAL_MS);
    };
    anew.textContent = anew.dataset.waiting;
    setTimeout(ask, INTERVAL_MS);
  };

  const told = (form) => form.querySelector("[role=status]");

  // The answer's page takes the place of this one; what was typed and chosen stays.
  const show = (form, written) => {
    const answer = new DOMParser().parseFromString(written, "text/html");
    const anew = answer.querySelector("#restore form");
    for (const { name, type, value, checked, files } of anew ? form.elements : []) {
      const field = name && anew.elements[name];
      if (!field) continue;
      if (type === "file") field.files = files;
      else if (type === "checkbox") field.checked = checked;
      else field.value = value;
    }
    document.title = answer.title;
    document.querySelector("main").replaceWith(answer.querySelector("main"));
    begin();
    const field = document.querySelector("#restore [aria-invalid=true]");
    const place = field || document.getElementById("trouble") || document.querySelector("main");
    if (field) field.select();
    else place.tabIndex = -1;
    place.focus();
    place.scrollIntoView({ block: "center" });
  };

  const bring = async (form) => {
    const sending = new XMLHttpRequest();
    const coming = form.querySelector(".coming");
    const progress = coming.querySelector("progress");
    const button = form.querySelector("button.alarming");
    const say = (words) => {
      if (told(form).textContent !== words) told(form).textContent = words;
    };
    const stay = (event) => event.preventDefault();
    const end = () => {
      button.disabled = false;
      removeEventListener("beforeunload", stay);
    };
    const lost = () => {
      end();
      say(told(form).dataset.lost);
    };
    sending.upload.addEventListener("progress", (event) => {
      if (event.lengthComputable) progress.value = event.loaded / event.total;
    });
    sending.upload.addEventListener("load", () => say(told(form).dataset.checking));
    sending.addEventListener("load", () => {
      end();
      show(form, sending.responseText);
    });
    sending.addEventListener("error", lost);
    button.disabled = true;
    addEventListener("beforeunload", stay);
    coming.hidden = false;
    progress.value = 0;
    const whole = new FormData(form);
    say(told(form).dataset.trying);
    try {
      const first = new FormData(form);
      first.set("backup", whole.get("backup").slice(0, FIRST_BYTES), "beginning");
      const answer = await fetch(`${form.action}/begin`, { method: "POST", body: first });
      if (answer.status !== 204) {
        const written = await answer.text();
        end();
        show(form, written);
        return;
      }
    } catch {
      lost();
      return;
    }
    say(told(form).dataset.coming);
    sending.open("POST", form.action);
    sending.send(whole);
  };

  const begin = () => {
    const anew = document.getElementById("anew");
    if (anew) wait(anew);
    for (const form of document.querySelectorAll("#backup form, #support form")) {
      form.addEventListener("submit", () => {
        told(form).hidden = false;
      });
    }
    const form = document.querySelector("#restore form");
    if (!form) return;
    const tooLarge = form.querySelector(".too-large");
    const fits = () => {
      const [file] = form.elements.file.files;
      tooLarge.hidden = !file || !form.dataset.room || file.size <= Number(form.dataset.room);
      return tooLarge.hidden;
    };
    form.elements.file.addEventListener("change", fits);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      if (fits()) bring(form);
    });
  };
  begin();
}
