// What makes the pages better with a script; all of them work without. Loaded in the head, so that the theme
// is right before anything is drawn.
(() => {
  "use strict";
  const root = document.documentElement;
  const store = {
    get theme() { try { return localStorage.getItem("theme"); } catch { return null; } },
    set theme(value) { try { localStorage.setItem("theme", value); } catch { /* then for this page only */ } },
  };
  if (["dark", "light"].includes(store.theme)) root.dataset.theme = store.theme;

  const isDark = () => root.dataset.theme
    ? root.dataset.theme === "dark"
    : matchMedia("(prefers-color-scheme: dark)").matches;

  function offerThemes() {
    const button = document.getElementById("theme");
    const show = () => { button.textContent = isDark() ? "Light" : "Dark"; };
    button.addEventListener("click", () => {
      root.dataset.theme = isDark() ? "light" : "dark";
      store.theme = root.dataset.theme;
      show();
    });
    show();
    button.hidden = false;
  }

  function searchWhileTyping(form) {
    const results = document.getElementById("results");
    const said = document.getElementById("said");
    let timer, running;

    async function ask() {
      running?.abort();
      running = new AbortController();
      const pairs = [...new FormData(form)].filter(([name, value]) => value.trim() && !(name === "sort" && value === "relevance"));
      const query = new URLSearchParams(pairs).toString();
      const tail = query ? `?${query}` : "";
      try {
        const answer = await fetch(form.dataset.live + tail, { signal: running.signal });
        if (!answer.ok) return;
        const text = await answer.text();
        const open = [...results.querySelectorAll("details")].map((each) => [each.id, each.open]);
        results.innerHTML = text; // escaped and sanitised by the server, as the page itself
        for (const [id, was] of open) { const each = document.getElementById(id); if (each) each.open = was; }
        said.textContent = results.firstElementChild.dataset.said;
        history.replaceState(null, "", form.getAttribute("action") + tail);
      } catch (error) {
        if (error.name !== "AbortError") console.warn(error);
      }
    }
    form.q.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(ask, 120); });
    form.sort.addEventListener("change", ask);
  }

  function moveByKeys() {
    const box = document.getElementById("q");
    const links = () => [...document.querySelectorAll("a.open")];
    document.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const at = document.activeElement;
      const typing = at && (at.matches("input, select, textarea") || at.isContentEditable);
      if (event.key === "/" && !typing) {
        if (box) { box.focus(); box.select(); } else { location.href = document.querySelector(".brand").href; }
        event.preventDefault();
        return;
      }
      const all = links();
      const place = all.indexOf(at);
      const arrows = place >= 0 || at === box;
      const down = (event.key === "j" && !typing) || (event.key === "ArrowDown" && arrows);
      const up = (event.key === "k" && !typing) || (event.key === "ArrowUp" && place >= 0);
      if (!down && !up) return;
      const next = down ? all[place + 1] : all[place - 1] ?? box;
      if (next) { next.focus(); event.preventDefault(); }
    });
    for (const each of document.querySelectorAll(".keys")) each.hidden = false;
  }

  document.addEventListener("DOMContentLoaded", () => {
    offerThemes();
    const form = document.querySelector("form[data-live]");
    if (form) searchWhileTyping(form);
    moveByKeys();
    // On a phone the choices would push the packages out of sight.
    const narrow = document.getElementById("narrow");
    if (narrow && matchMedia("(max-width: 56rem)").matches) narrow.open = false;
  });
})();
