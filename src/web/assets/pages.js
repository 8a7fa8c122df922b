// Everything works without this: it copies, prints, types what is suggested, stops a second tap, and tells moments in the
// visitor's own time zone.
"use strict";

// For those who listen: what stands in a button is its name, and nobody is told that a name has changed.
const told = document.createElement("p");
told.className = "unseen";
told.setAttribute("role", "status");
document.body.append(told);

for (const button of document.querySelectorAll("button.copy")) {
  if (!navigator.clipboard) break;
  button.hidden = false;
  const label = button.querySelector("span");
  // Whoever presses it twice finds it as it was, too.
  const before = label.textContent;
  let back;
  button.addEventListener("click", async () => {
    // Whoever is told to do it by hand needs more time to read than whoever has what he wanted.
    let [said, lasts] = [button.dataset.done, 2500];
    try {
      await navigator.clipboard.writeText(button.dataset.copy);
    } catch {
      [said, lasts] = [button.dataset.refused, 10000];
    }
    label.textContent = told.textContent = said;
    clearTimeout(back);
    back = setTimeout(() => {
      label.textContent = before;
      told.textContent = "";
    }, lasts);
  });
}

// What is good once must not be asked for twice by a hasty finger.
for (const form of document.querySelectorAll("form.once")) {
  form.addEventListener("submit", () => { form.querySelector("button:not([type])").disabled = true; });
}

// A field's list offers the same, but not on every telephone. What else was typed stays as it is.
for (const chip of document.querySelectorAll("button.chip")) {
  chip.parentElement.hidden = false;
  chip.addEventListener("click", () => {
    const field = chip.closest(".field").querySelector("input");
    field.value = chip.textContent;
    field.focus();
  });
}

for (const button of document.querySelectorAll("button.print")) {
  button.hidden = false;
  button.addEventListener("click", () => window.print());
}

for (const time of document.querySelectorAll("time[datetime]")) {
  const moment = new Date(time.dateTime);
  if (!Number.isNaN(moment.valueOf())) {
    time.title = moment.toLocaleString(document.documentElement.lang);
  }
}
