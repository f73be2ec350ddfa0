// Shows how far an upload is, that a download begins, and after a restore waits for the program that begins with it.
"use strict";
{
  const INTERVAL_MS = 1000;
  const LONG_MS = 120000;

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

  const bring = (form) => {
    const sending = new XMLHttpRequest();
    const coming = form.querySelector(".coming");
    const progress = coming.querySelector("progress");
    const button = form.querySelector("button");
    const say = (words) => {
      if (told(form).textContent !== words) told(form).textContent = words;
    };
    const stay = (event) => event.preventDefault();
    const end = () => {
      button.disabled = false;
      removeEventListener("beforeunload", stay);
    };
    sending.upload.addEventListener("progress", (event) => {
      if (event.lengthComputable) progress.value = event.loaded / event.total;
    });
    sending.upload.addEventListener("load", () => say(told(form).dataset.checking));
    sending.addEventListener("load", () => {
      end();
      const answer = new DOMParser().parseFromString(sending.responseText, "text/html");
      document.title = answer.title;
      document.querySelector("main").replaceWith(answer.querySelector("main"));
      begin();
      const place = document.getElementById("trouble") || document.querySelector("main");
      place.tabIndex = -1;
      place.focus();
      place.scrollIntoView({ block: "center" });
    });
    sending.addEventListener("error", () => {
      end();
      say(told(form).dataset.lost);
    });
    button.disabled = true;
    addEventListener("beforeunload", stay);
    coming.hidden = false;
    progress.value = 0;
    say(told(form).dataset.coming);
    sending.open("POST", form.action);
    sending.send(new FormData(form));
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
