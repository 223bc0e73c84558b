// Theme, tooltips, notes about images, and the table of contents.
{
  const theme = get("theme");
  const read = () => { try { return localStorage.getItem("roi-ray-theme"); } catch { return null; } };
  function setTheme(name) {
    document.documentElement.dataset.theme = name;
    try { localStorage.setItem("roi-ray-theme", name); } catch { /* some browsers refuse it for files */ }
    changeTheme();
  }
  function changeTheme() {
    document.dispatchEvent(new Event("themechange"));
    redraw();
  }
  theme.addEventListener("change", () => setTheme(theme.value));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", changeTheme);
  const stored = read();
  if (["light", "dark"].includes(stored)) { theme.value = stored; setTheme(stored); }

  for (const place of document.querySelectorAll('[data-text="image-note"]')) place.textContent = data.imageNote;

  const tip = get("tip");
  function showTip(target) {
    const note = target.dataset.reason ?? document.querySelector(target.getAttribute("href"))?.textContent;
    if (!note) return;
    tip.textContent = note;
    tip.hidden = false;
    const box = target.getBoundingClientRect(), size = tip.getBoundingClientRect();
    tip.style.left = `${Math.max(8, Math.min(box.left, innerWidth - size.width - 8))}px`;
    tip.style.top = `${box.bottom + size.height + 12 > innerHeight ? box.top - size.height - 6 : box.bottom + 6}px`;
  }
  const hideTip = () => { tip.hidden = true; };
  for (const kind of ["mouseover", "focusin"]) {
    document.addEventListener(kind, (event) => { const target = event.target.closest?.(".reason"); if (target) showTip(target); else hideTip(); });
  }
  document.addEventListener("focusout", hideTip);
  addEventListener("scroll", hideTip, { passive: true, capture: true });
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") hideTip(); });

  const links = new Map([...document.querySelectorAll(".contents a")].map((link) => [link.hash.slice(1), link]));
  const sections = [...document.querySelectorAll("main > section")];
  const follow = () => {
    const current = sections.filter((section) => section.getBoundingClientRect().top < innerHeight / 3).pop() ?? sections[0];
    for (const [id, link] of links) { if (id === current.id) link.setAttribute("aria-current", "true"); else link.removeAttribute("aria-current"); }
  };
  addEventListener("scroll", follow, { passive: true });
  follow();
}
