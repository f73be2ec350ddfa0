// Passwords: shows what is typed while a button is pressed, says before it is sent that two differ, copies a made one.
"use strict";
{
  const isPressed = (button) => button.getAttribute("aria-pressed") === "true";
  const press = (button, isShown) => {
    const field = document.getElementById(button.getAttribute("aria-controls"));
    button.setAttribute("aria-pressed", String(isShown));
    if (isShown) field.removeAttribute("type");
    else field.type = "password";
  };

  // On plain HTTP a page has no clipboard but what is selected.
  const copy = async (button) => {
    const text = document.getElementById(button.dataset.copies);
    getSelection().selectAllChildren(text);
    try {
      await navigator.clipboard.writeText(text.textContent);
    } catch {
      if (!document.execCommand("copy")) return;
    }
    button.nextElementSibling.textContent = button.dataset.copied;
  };

  document.addEventListener("click", ({ target }) => {
    const button = target.closest("button");
    if (button?.matches(".secret button")) press(button, !isPressed(button));
    if (button?.dataset.copies) copy(button);
  });
  document.addEventListener("input", ({ target }) => {
    for (const again of target.form?.querySelectorAll("[data-same]") ?? []) {
      const differs = again.value !== again.form.elements[again.dataset.same].value;
      again.setCustomValidity(differs ? again.dataset.differs : "");
    }
  });
  // Browsers offer later what was typed into a field that is no password's.
  document.addEventListener("submit", ({ target }) => {
    for (const button of target.querySelectorAll(".secret button")) press(button, false);
  });
}
