// Keeps the part of the page that changes up to date, and never under the reader's hands.
const live = document.getElementById("live");
const waiting = document.getElementById("waiting");

// Of all that changes a reader of the screen hears what needs an answer, and of that the number.
function tell() {
  const { waiting: count } = live.querySelector("[data-waiting]").dataset;
  const text = count === "0" ? "" : `${count} waiting for your permission`;
  if (waiting.textContent !== text) waiting.textContent = text;
}

async function refresh() {
  const typing = live.contains(document.activeElement) && document.activeElement.tagName === "INPUT";
  if (!document.hidden && !typing) {
    try {
      const answer = await fetch(live.dataset.source);
      const text = await answer.text();
      const still = !live.contains(document.activeElement);
      if (answer.ok && still && text !== live.dataset.shown) {
        live.innerHTML = text;
        live.dataset.shown = text;
        tell();
      }
    } catch {
      // The client is away; the next try may find it.
    }
  }
  setTimeout(refresh, 1000);
}

tell();
setTimeout(refresh, 1000);
