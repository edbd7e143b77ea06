// Requests to the other routes. The token is in memory, or in the storage of this tab
// if its user wants that; it is never in an address.

const SLOT = "aside-token";
let token = "";
try {
	token = sessionStorage.getItem(SLOT) ?? "";
} catch {
	// Without storage it is asked for.
}

/** Sets the token; an empty one is forgotten everywhere. */
export function setToken(next, keep) {
	token = next;
	try {
		sessionStorage.removeItem(SLOT);
		if (keep && next) sessionStorage.setItem(SLOT, next);
	} catch {
		// Without storage it stays in memory.
	}
}

export const hasToken = () => token !== "";

/** A refusal by the service, as problem+json. */
class Refused extends Error {
	constructor(status, problem) {
		super(problem.detail ?? `The answer has status ${status}.`);
		this.status = status;
		this.possible = problem.possible;
	}
}

/** Returns true if the service has no such route. */
export const isUnknown = ({ status }) => status === 404 || status === 405;

async function send(path, options) {
	const headers = token ? { Authorization: `Bearer ${token}` } : {};
	let response;
	try {
		response = await fetch(new URL(path, document.baseURI), { ...options, headers, cache: "no-store" });
	} catch (error) {
		throw new Error(error.name === "TimeoutError" ? "It did not answer in time." : "It cannot be reached.");
	}
	if (response.ok) return response;
	// A proxy may answer in another form.
	throw new Refused(response.status, await response.json().catch(() => ({})));
}

async function json(path, query, options) {
	const text = query ? `${path}?${new URLSearchParams(query)}` : path;
	return (await send(text, { ...options, signal: AbortSignal.timeout(15_000) })).json();
}

/** Reads a route; `query` holds its parameters. */
export const get = (path, query) => json(path, query);

export const remove = (path, query) => json(path, query, { method: "DELETE" });

/** Calls `each(name, data)` for every server-sent event, until the stream ends. */
export async function stream(path, signal, each) {
	const response = await send(path, { signal });
	const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
	let rest = "";
	for (;;) {
		const { value, done } = await reader.read();
		if (done) return;
		const blocks = (rest + value).split("\n\n");
		rest = blocks.pop();
		for (const block of blocks) {
			const field = (name) => block.match(new RegExp(`^${name}: ?(.*)$`, "m"))?.[1];
			if (field("data")) each(field("event"), JSON.parse(field("data")));
		}
	}
}
