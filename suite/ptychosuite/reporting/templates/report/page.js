"use strict";

/* What concerns the whole page: copying, contents, printing; and the start. */

document.addEventListener("click", async (event) => {
  const button = event.target.closest("button.copy");
  if (!button) return;
  const code = button.previousElementSibling;
  try {
    await navigator.clipboard.writeText(code.textContent);
    button.textContent = "copied";
  } catch {
    getSelection().selectAllChildren(code);
    button.textContent = "selected";
  }
  setTimeout(() => (button.textContent = "copy"), 2000);
});

{
  const links = [...document.querySelectorAll('a[href^="#"]')];
  const sections = [...document.querySelectorAll("#overview, section[id]")];
  state.define("at", "", oneOf(["", ...sections.map(({ id }) => id)]));

  /* A link of the contents keeps what is chosen: the address says both. */
  for (const link of links) {
    link.addEventListener("click", (event) => {
      event.preventDefault();
      const goal = byId(link.hash.slice(1));
      if (sections.includes(goal)) state.set({ at: goal.id === "overview" ? "" : goal.id });
      goal.scrollIntoView();
      goal.focus({ preventScroll: true });
    });
  }

  const visible = new Set();
  const watcher = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) visible[isIntersecting ? "add" : "delete"](target);
    const now = sections.find((section) => visible.has(section));
    for (const link of links) {
      if (now && link.hash === `#${now.id}`) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
    }
  }, { rootMargin: "-10% 0px -60% 0px" });
  sections.forEach((section) => watcher.observe(section));
}

addEventListener("beforeprint", () => {
  for (const details of document.querySelectorAll("details:not([open])")) {
    details.open = true;
    details.dataset.opened = "";
  }
});
addEventListener("afterprint", () => {
  for (const details of document.querySelectorAll("details[data-opened]")) {
    details.open = false;
    delete details.dataset.opened;
  }
});

const plainAnchor = /^#[\w-]+$/.test(location.hash) ? location.hash.slice(1) : "";
state.start();
byId(plainAnchor || state.get("at"))?.scrollIntoView();
