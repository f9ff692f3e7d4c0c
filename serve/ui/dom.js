/** Building elements. Text becomes text nodes only, so nothing that anybody wrote is ever markup. */

const SVG = "http://www.w3.org/2000/svg";

/** An element with attributes and children; children that are null or false are left out. */
export function make(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

/** The same for SVG. */
export function draw(tag, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), attributes, children);
}

/** The element of this page with an id. */
export const byId = (id) => document.getElementById(id);

/** Show a sentence, or hide its place where there is none. */
export function tell(place, sentence) {
  place.textContent = sentence ?? "";
  place.hidden = !sentence;
}

function filled(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "click") element.addEventListener("click", value);
    else if (value !== null && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}
