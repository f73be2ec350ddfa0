// Keeps the overview live: the server sends its middle anew when something in it changed.
"use strict";
{
  const glance = document.getElementById("glance");
  Page.listen(
    () => glance.dataset.events,
    "",
    (told) => {
      if (told.html === null) return;
      const fresh = glance.cloneNode(false);
      fresh.append(Page.parse(told.html));
      Page.morph(glance, fresh);
    },
  );
}
