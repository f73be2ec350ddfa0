// Keeps the list of meters live, and narrows it while somebody types. The server decides what is shown and renders it;
// until it has answered, rows that cannot be meant are hidden here.
"use strict";
{
  const TYPED_MS = 300;
  const form = document.getElementById("wanted");
  const words = document.getElementById("words");
  let found = document.getElementById("found");
  let body;
  let leave = () => {};
  let timer = 0;
  let asked = 0;

  const folded = (text) => text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();

  const sift = (row) => {
    const text = folded(row.cells[0].textContent);
    row.hidden = !folded(words.value).split(/\s+/).every((word) => text.includes(word));
  };

  // A meter heard for the first time: in its place if ordered by ID, else on top. The others stay where they are.
  const insert = (row) => {
    let before = body.firstElementChild;
    if (body.dataset.sort === "id") {
      while (before && Number(before.dataset.id) < Number(row.dataset.id)) before = before.nextElementSibling;
    }
    body.insertBefore(row, before);
  };

  const take = (told) => {
    const rows = [...Page.parse(told.rows).children];
    if (told.full) {
      const kept = new Set(rows.map((row) => row.id));
      for (const row of [...body.rows]) if (!kept.has(row.id)) row.remove();
    }
    for (const id of told.gone) {
      const row = document.getElementById(id);
      if (row) row.remove();
    }
    for (const fresh of rows) {
      const old = document.getElementById(fresh.id);
      if (old) {
        fresh.hidden = old.hidden;
        Page.morph(old, fresh);
      } else {
        sift(fresh);
        insert(fresh);
      }
    }
    const { everything, count } = found.dataset;
    document.getElementById("count").textContent = everything === "1" ? told.heard
      : count.replace("{found}", body.rows.length).replace("{heard}", told.heard);
    if (told.listening !== null) {
      const listening = found.querySelector("#none time");
      if (listening) {
        listening.dateTime = told.listening;
        listening.title = "";
      }
    }
    const estimates = document.getElementById("estimates");
    if (estimates) estimates.hidden = !told.estimates;
    found.querySelector("#none").hidden = body.rows.length > 0;
    found.querySelector("#table").hidden = body.rows.length === 0;
  };

  const begin = () => {
    body = document.getElementById("meters");
    leave();
    leave = Page.listen((at) => `${found.dataset.events}&cursor=${encodeURIComponent(at)}`, found.dataset.cursor, take);
  };

  const address = () => {
    const chosen = [...new FormData(form)].filter(([name, value]) => value && !(name === "sort" && value === "id"));
    const query = new URLSearchParams(chosen).toString();
    return query ? `/meters?${query}` : "/meters";
  };

  // Show what is chosen now, in this page: where the reader is in it, and what is being typed, stay.
  const show = async () => {
    clearTimeout(timer);
    const turn = ++asked;
    const to = address();
    try {
      const answer = await fetch(to);
      if (answer.redirected) {
        location.assign(to); // logged out meanwhile
        return;
      }
      if (!answer.ok) throw new Error(answer.status);
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      if (turn !== asked) return;
      const fresh = document.adoptNode(page.getElementById("found"));
      document.getElementById("count").textContent = page.getElementById("count").textContent;
      document.querySelector(".languages").replaceWith(document.adoptNode(page.querySelector(".languages")));
      found.replaceWith(fresh);
      found = fresh;
      history.replaceState(null, "", to);
      begin();
      [...body.rows].forEach(sift);
    } catch {
      if (turn === asked && navigator.onLine) document.body.classList.add("stale");
    }
  };

  words.addEventListener("input", () => {
    [...body.rows].forEach(sift);
    clearTimeout(timer);
    timer = setTimeout(show, TYPED_MS);
  });
  form.addEventListener("change", (event) => event.target !== words && show());
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    show();
  });
  document.getElementById("show").hidden = true;
  begin();
}
