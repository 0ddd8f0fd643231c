// Keeps a page fresh: every ten seconds, and when the stream of events that the script's data-events
// names tells of a block or a transaction, the page is fetched again and each part marked data-live
// is put in the place of its old self.
"use strict";
(() => {
  const { events } = document.currentScript.dataset;
  const status = document.getElementById("liveness");
  const say = (text) => { if (status && status.textContent !== text) status.textContent = text; };
  let due = null, running = false, again = false;

  // Nobody's place on the page is lost: neither the focus nor what is marked to be copied.
  const replace = (part, next) => {
    const marked = getSelection();
    if (!marked.isCollapsed && part.contains(marked.anchorNode)) return;
    const focused = part.contains(document.activeElement) ? document.activeElement : null;
    const { id } = focused ?? {}, href = focused?.getAttribute("href");
    part.replaceChildren(...next.childNodes);
    const same = id ? document.getElementById(id)
      : href ? part.querySelector(`[href="${CSS.escape(href)}"]`) : null;
    same?.focus({ preventScroll: true });
  };

  const refresh = async () => {
    due = null;
    if (running) { again = true; return; }
    running = true;
    try {
      const answer = await fetch(location.href, { headers: { Accept: "text/html", "X-Live": "1" } });
      if (!answer.ok) return;
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      for (const part of document.querySelectorAll("[data-live]")) {
        const next = page.querySelector(`[data-live="${part.dataset.live}"]`);
        if (!next || next.innerHTML === part.innerHTML) continue;
        for (const row of next.querySelectorAll("tr[id]")) {
          if (!document.getElementById(row.id)) row.classList.add("fresh");
        }
        replace(part, next);
      }
      document.title = page.title;
    } catch { /* the stream tells when the node is back */ } finally {
      running = false;
      if (again) { again = false; plan(); }
    }
  };
  // A burst of transactions is one change.
  const plan = () => { due ??= setTimeout(refresh, 120); };

  if (events) {
    const stream = new EventSource(events);
    stream.addEventListener("start", () => { say("live"); plan(); });
    for (const kind of ["tip", "transaction", "removed", "gap"]) stream.addEventListener(kind, plan);
    stream.addEventListener("error", () => say("waiting for the node"));
    addEventListener("pagehide", () => stream.close());
  }
  // Ages grow without news.
  setInterval(() => { if (!document.hidden) plan(); }, 10000);
})();
