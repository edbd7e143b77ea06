// Elements and figures. Every text becomes a text node, so no key can become markup.

const isNone = (value) => value === null || value === undefined || value === false;

function fill(element, attributes, children) {
	for (const [name, value] of Object.entries(attributes ?? {})) {
		if (isNone(value)) continue;
		if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
		else element.setAttribute(name, value === true ? "" : value);
	}
	element.append(...children.flat().filter((child) => !isNone(child)));
	return element;
}

export const el = (tag, attributes, ...children) =>
	fill(document.createElement(tag), attributes, children);

export const svg = (tag, attributes, ...children) =>
	fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);

export const $ = (id) => document.getElementById(id);

/** Sets a text only if it differs, so that a selection survives and nothing is read twice. */
export function setText(element, text) {
	if (element.textContent !== text) element.textContent = text;
}

export function setChild(parent, child) {
	if (!parent.firstChild?.isEqualNode(child)) parent.replaceChildren(child);
}

export const sum = (numbers) => numbers.reduce((all, number) => all + number, 0);

const plain = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const tenths = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });

export const count = (number) => plain.format(number);

export const rate = (number) => {
	if (!Number.isFinite(number)) return "–";
	return (number >= 100 ? plain : tenths).format(number);
};

export function percent(part, whole) {
	if (!whole) return "–";
	const share = (part / whole) * 100;
	if (share > 0 && share < 0.1) return "< 0.1 %";
	return share > 99.9 && share < 100 ? "> 99.9 %" : `${rate(share)} %`;
}

export function bytes(number) {
	const at = Math.min(4, Math.max(0, Math.floor(Math.log2(number || 1) / 10)));
	return `${rate(number / 1024 ** at)} ${["B", "KiB", "MiB", "GiB", "TiB"][at]}`;
}

export function millis(number) {
	if (!Number.isFinite(number)) return "–";
	if (number >= 1000) return duration(number / 1000);
	return `${number > 0 && number < 1 ? number.toPrecision(2) : rate(number)} ms`;
}

export function duration(seconds) {
	if (!Number.isFinite(seconds)) return "–";
	if (seconds < 60) return `${tenths.format(seconds)} s`;
	const [h, m, s] = [seconds / 3600, (seconds / 60) % 60, seconds % 60].map(Math.floor);
	if (h >= 48) return `${plain.format(h / 24)} d`;
	if (h > 0) return m ? `${h} h ${m} min` : `${h} h`;
	return s ? `${m} min ${s} s` : `${m} min`;
}

export const clock = (ms, fine) =>
	`${new Date(ms).toLocaleTimeString("en-GB")}${fine ? `.${String(ms % 1000).padStart(3, "0")}` : ""}`;

/** A word of the protocol as an operator reads it. */
export const word = (name) => String(name).replaceAll(/[_-]/g, " ");

/** Names and values of a description list; a value may be an element. */
export const facts = (pairs) =>
	pairs
		.filter(([, value]) => !isNone(value) && value !== "")
		.map(([name, value]) => el("div", null, el("dt", null, name), el("dd", null, value)));

/** A table of texts or elements, with one column of names. */
export const grid = (heads, rows, number = "number", named = 0) =>
	el("table", null,
		el("thead", null, el("tr", null, heads.map((head, at) =>
			el("th", { scope: "col", class: at && number }, head)))),
		el("tbody", null, rows.map((cells) => el("tr", null, cells.map((cell, at) =>
			(at === named ? el("th", { scope: "row" }, cell) : el("td", { class: at && number }, cell)))))));

export function refusal(error) {
	const possible = error.possible?.length ? ` Possible: ${error.possible.join(", ")}.` : "";
	return el("p", { class: "problem" }, `${error.message}${possible}`);
}

export const nothing = (text) => el("p", { class: "empty" }, text);

export const input = (attributes) =>
	el("input", { type: "text", autocomplete: "off", spellcheck: "false", autocapitalize: "off", ...attributes });

export const field = (label, control) =>
	el("label", { class: "field" }, el("span", null, label), control);

/** Offers values, and keeps the chosen one if it is still there. */
export function options(select, names) {
	const offered = [...select.options].map(({ value }) => value);
	if (offered.join() === names.map(([value]) => value).join()) return;
	const chosen = select.value;
	select.replaceChildren(...names.map(([value, text]) => el("option", { value }, text)));
	if (offered.includes(chosen) && names.some(([value]) => value === chosen)) select.value = chosen;
}
