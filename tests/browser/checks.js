// What must be true of every page, looked at in the page itself. `arguments[0]` names the check; each answers with what is
// wrong, in words. Nothing here changes a page for longer than the check takes.
"use strict";

const MARGIN = 0.01; // of rounding
const large = (style) => {
  const size = parseFloat(style.fontSize);
  return size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
};
const named = (element) => {
  const classes = [...element.classList].map((one) => `.${one}`).join("");
  const more = element.id ? `#${element.id}` : element.getAttribute("name") ? `[name=${element.getAttribute("name")}]` : "";
  return `<${element.localName}${classes}${more}> "${(element.textContent || element.value || "").trim().slice(0, 30)}"`;
};

// Colours: whatever notation a style has them in, a canvas knows them as red, green, blue and alpha.
const pen = Object.assign(document.createElement("canvas"), { width: 1, height: 1 })
  .getContext("2d", { willReadFrequently: true });
const seen = new Map();
function colour(written) {
  if (!seen.has(written)) {
    pen.clearRect(0, 0, 1, 1);
    pen.fillStyle = written;
    pen.fillRect(0, 0, 1, 1);
    const [red, green, blue, alpha] = pen.getImageData(0, 0, 1, 1).data;
    seen.set(written, [red, green, blue, alpha / 255]);
  }
  return seen.get(written);
}
function over([red, green, blue, alpha], under) {
  const mixed = [red, green, blue].map((part, index) => part * alpha + under[index] * (1 - alpha));
  return [...mixed, 1];
}
// What lies behind an element's text: its own background over that of all that it stands in.
function behind(element) {
  const layers = [];
  for (let one = element; one; one = one.parentElement) layers.push(colour(getComputedStyle(one).backgroundColor));
  return layers.reverse().reduce((under, layer) => over(layer, under), [255, 255, 255, 1]);
}
function opacity(element) {
  let product = 1;
  for (let one = element; one; one = one.parentElement) product *= Number(getComputedStyle(one).opacity);
  return product;
}
// WCAG 2.2: relative luminance and contrast ratio.
function luminance(parts) {
  const [red, green, blue] = parts.slice(0, 3).map((part) => {
    const share = part / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}
function ratio(one, other) {
  const [light, dark] = [luminance(one), luminance(other)].sort((a, b) => b - a);
  return (light + 0.05) / (dark + 0.05);
}

function shown(element) {
  for (let one = element; one; one = one.parentElement) {
    // For those who listen, not for those who look.
    if (getComputedStyle(one).clipPath !== "none") return false;
  }
  return element.checkVisibility({ visibilityProperty: true });
}

// WCAG 2.2, 1.4.3: text against what lies behind it.
function contrast() {
  const wrong = new Map();
  const judge = (what, style, paper, faded, text) => {
    const [red, green, blue, alpha] = colour(style.color);
    const found = ratio(over([red, green, blue, alpha * faded], paper), paper);
    const wanted = large(style) ? 3 : 4.5;
    if (found + MARGIN < wanted) {
      const told = `contrast ${found.toFixed(2)} instead of ${wanted}: ${style.color} of ${what} ${text}`;
      wrong.set(`${style.color} ${paper} ${wanted}`, told);
    }
  };
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const element = texts.currentNode.parentElement;
    if (!texts.currentNode.data.trim() || element.closest(":disabled, option, script, noscript") || !shown(element)) continue;
    judge(named(element), getComputedStyle(element), behind(element), opacity(element), "");
  }
  for (const element of document.body.querySelectorAll("*")) {
    if (!shown(element) || element.closest(":disabled")) continue;
    if (element.matches("input:not([type=hidden], [type=checkbox]), textarea, select")) {
      judge(named(element), getComputedStyle(element), behind(element), opacity(element), "");
      if (element.placeholder && !element.value) {
        const style = getComputedStyle(element, "::placeholder");
        judge(named(element), style, behind(element), opacity(element) * Number(style.opacity), "(placeholder)");
      }
    }
    for (const pseudo of ["::before", "::after"]) {
      const style = getComputedStyle(element, pseudo);
      if (["none", "normal", '""'].includes(style.content) || style.display === "none") continue;
      const paper = over(colour(style.backgroundColor), behind(element));
      judge(named(element), style, paper, opacity(element) * Number(style.opacity), `(${pseudo} ${style.content})`);
    }
  }
  return [...wrong.values()];
}

// WCAG 2.2, 1.4.10: nobody scrolls sideways.
function sideways() {
  const { scrollWidth } = document.scrollingElement;
  if (scrollWidth <= innerWidth) return [];
  const sticking = [...document.body.querySelectorAll("*")].filter((one) => one.getBoundingClientRect().right > innerWidth + 0.5);
  return [`scrolls sideways: ${scrollWidth} px at ${innerWidth}: ${sticking.slice(-3).map(named).join(", ")}`];
}

// The frame of the page, and names for whoever does not see it.
function structure(language) {
  const wrong = [];
  if (document.documentElement.lang !== language) wrong.push(`is in <html lang="${document.documentElement.lang}">`);
  if (!document.title.trim()) wrong.push("has no title");
  const headings = [...document.querySelectorAll("h1")].filter(shown).length;
  if (headings !== 1) wrong.push(`has ${headings} headings <h1>`);
  const said = (element) => (element.getAttribute("aria-label") || "").trim();
  for (const field of document.querySelectorAll("input:not([type=hidden]), textarea, select")) {
    const labels = [...field.labels].map((label) => label.textContent.trim()).join("");
    if (!labels && !said(field)) wrong.push(`no label: ${named(field)}`);
  }
  for (const pressed of document.querySelectorAll("a[href], button, summary")) {
    if (!pressed.textContent.trim() && !said(pressed)) wrong.push(`no name: ${named(pressed)}`);
  }
  for (const jumping of document.querySelectorAll("[tabindex]")) {
    if (jumping.tabIndex > 0) wrong.push(`jumps the queue of Tab: ${named(jumping)}`);
  }
  const ids = [...document.querySelectorAll("[id]")].map((element) => element.id);
  for (const id of new Set(ids.filter((id, index) => ids.indexOf(id) !== index))) wrong.push(`has several #${id}`);
  return wrong;
}

// Tab goes through everything that can be worked, in the order in which it is read, and shows where it is (WCAG 2.2, 2.4.3,
// 2.4.7). The keys are pressed between these two.
function marks(element) {
  const { outlineStyle, outlineWidth, outlineColor, boxShadow, borderTopColor } = getComputedStyle(element);
  return { outlineStyle, outlineWidth, outlineColor, boxShadow, borderTopColor };
}
function beginTabs() {
  // A page that fetches itself again would begin in the middle.
  stop();
  const worked = "a[href], button, input, select, textarea, summary, [tabindex]";
  const expected = [...document.querySelectorAll(worked)].filter((one) =>
    one.tabIndex >= 0 && !one.disabled && one.type !== "hidden" && one.checkVisibility({ visibilityProperty: true }));
  const reached = [];
  const listen = ({ target }) => {
    if (target !== document.body) reached.push([target, marks(target)]);
  };
  document.activeElement.blur();
  document.body.tabIndex = -1;
  document.body.focus();
  document.addEventListener("focusin", listen);
  window.tabbed = { expected, reached, listen };
  return expected.length;
}
function endTabs() {
  const { expected, reached, listen } = window.tabbed;
  delete window.tabbed;
  document.removeEventListener("focusin", listen);
  document.activeElement.blur();
  document.body.removeAttribute("tabindex");
  scrollTo(0, 0);
  const wrong = [];
  const missed = expected.findIndex((one, index) => reached[index]?.[0] !== one);
  if (missed >= 0) {
    const instead = reached[missed] ? named(reached[missed][0]) : "nothing";
    wrong.push(`Tab reaches ${instead} instead of ${named(expected[missed])}`);
  }
  for (const [element, focused] of reached) {
    const paper = behind(element.parentElement);
    const resting = marks(element);
    const distinct = (written) => ratio(over(colour(written), paper), paper) + MARGIN >= 3;
    const outlined = focused.outlineStyle !== "none" && parseFloat(focused.outlineWidth) >= 2 && distinct(focused.outlineColor);
    const shadowed = focused.boxShadow !== "none" && focused.boxShadow !== resting.boxShadow;
    const bordered = focused.borderTopColor !== resting.borderTopColor && distinct(focused.borderTopColor);
    if (!outlined && !shadowed && !bordered) wrong.push(`focus cannot be seen: ${named(element)}`);
  }
  return wrong;
}

// ISO/IEC 18004: around a code are four modules in which nothing is dark, and the code is dark on light, whatever colours the
// page has. A picture of the place where it stands is given back by whoever can take one; a canvas knows its points.
function codePlace() {
  const { left, top, width, height } = document.querySelector(".qr svg").getBoundingClientRect();
  const [x, y, wide, high] = [left + scrollX, top + scrollY, width, height].map(Math.round);
  return { x, y, width: wide, height: high };
}
async function quiet(picture) {
  const { width: side } = document.querySelector(".qr svg").viewBox.baseVal;
  const bytes = Uint8Array.from(atob(picture), (one) => one.charCodeAt(0));
  const bitmap = await createImageBitmap(new Blob([bytes], { type: "image/png" }));
  const { width, height } = bitmap;
  const paper = new OffscreenCanvas(width, height).getContext("2d");
  paper.drawImage(bitmap, 0, 0);
  const { data } = paper.getImageData(0, 0, width, height);
  // A point at the edge of either may belong to both.
  const [edge, zone] = [1, Math.floor(4 * width / side) - 1];
  const count = { zoneDark: 0, dark: 0, light: 0 };
  for (let y = edge; y < height - edge; y += 1) {
    for (let x = edge; x < width - edge; x += 1) {
      const at = 4 * (y * width + x);
      const bright = luminance([...data.subarray(at, at + 3)]);
      const [across, along] = [Math.min(x, width - 1 - x) < zone, Math.min(y, height - 1 - y) < zone];
      // Its corners are round, and beside nothing.
      if (across && along) continue;
      const inZone = across || along;
      if (inZone && bright < 0.8) count.zoneDark += 1;
      if (!inZone && bright < 0.05) count.dark += 1;
      if (!inZone && bright > 0.8) count.light += 1;
    }
  }
  const wrong = [];
  if (count.zoneDark) wrong.push(`${count.zoneDark} points of the quiet zone are dark`);
  if (!count.dark || !count.light) wrong.push(`the code has ${count.dark} dark and ${count.light} light points`);
  return wrong;
}

const [check, argument] = arguments;
switch (check) {
  case "structure": return structure(argument);
  case "sideways": return sideways();
  case "look": return [...sideways(), ...contrast()];
  case "code-place": return codePlace();
  case "quiet": return quiet(argument);
  case "height": return document.documentElement.scrollHeight;
  case "begin-tabs": return beginTabs();
  case "end-tabs": return endTabs();
  default: throw new Error(check);
}
