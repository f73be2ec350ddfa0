// Keeps the middle of a page live: the server sends it anew when something in it changed.
"use strict";
{
  const middle = document.querySelector("[data-events]");
  Page.listen(
    () => middle.dataset.events,
    "",
    (told) => {
      if (told.html === null) return;
      const fresh = middle.cloneNode(false);
      fresh.append(Page.parse(told.html));
      Page.morph(middle, fresh);
    },
  );
}
