// State of the page: polling, the token, and what is shown when.

import { get, hasToken, setToken } from "./api.js";
import { $, clock, el, setText } from "./dom.js";
import { mountEvents, setNames, start, stop } from "./events.js";
import { mountExplain, updateExplain } from "./explain.js";
import { mountFleet, readFleet } from "./fleet.js";
import { mountKinds, readPrefetch, showKinds } from "./kinds.js";
import { mountCharts, showHistory, showState, showWarnings } from "./overview.js";
import { mountPurge, setUnwell, updatePurge } from "./purge.js";

const POLL_MS = 2_000;
const POLLS_PER_FLEET = 3;

let paused = false;
let failedAt = null;
let timer = null;
let polls = 0;
let unwell = [];
let busy = false;

const range = () => document.querySelector('[name="range"]:checked').value;

async function poll() {
	clearTimeout(timer);
	if (busy) return;
	busy = true;
	try {
		const [stats, history] = await Promise.all([get("stats"), get("history", { range: range() })]);
		if (polls % POLLS_PER_FLEET === 0) await others();
		polls += 1;
		await show(stats, history);
	} catch (error) {
		fail(error);
	} finally {
		busy = false;
	}
	clearTimeout(timer);
	if (!isIdle()) timer = setTimeout(poll, POLL_MS);
}

const isIdle = () => paused || document.hidden || !$("gate").hidden;

async function others() {
	const [fleet] = await Promise.all([readFleet(), readPrefetch()]);
	unwell = fleet.unwell;
	setNames(fleet.names);
	setUnwell(fleet.unwell);
}

async function show(stats, history) {
	failedAt = null;
	delete document.body.dataset.failed;
	$("gate").hidden = true;
	$("content").hidden = false;
	$("leave").hidden = !hasToken();
	$("purge").hidden = stats.access === "read";
	showState(stats);
	showWarnings(stats, unwell);
	showHistory(history, stats);
	showKinds(stats);
	updateExplain(stats);
	updatePurge(stats);
	setText($("foot"), `Read at ${clock(Date.now())}. Local means memory of this process, shared means Redis.`);
	if (!isIdle()) start();
}

function fail(error) {
	if (error.status === 401) {
		ask(hasToken() ? "This token is not accepted." : "");
		return;
	}
	const refused = error.status === 403;
	failedAt ??= clock(Date.now());
	document.body.dataset.failed = "true";
	$("status").dataset.level = "bad";
	setText($("status"), refused ? error.message : `No answer since ${failedAt}. ${error.message} It is asked again every 2 s.`);
}

function ask(problem) {
	stop();
	setToken("", false);
	$("gate").hidden = false;
	$("content").hidden = true;
	$("leave").hidden = true;
	$("facts").replaceChildren();
	$("warnings").replaceChildren();
	$("status").dataset.level = "wait";
	setText($("status"), "A token is needed.");
	setText($("token-problem"), problem);
	$("token").focus();
}

function mountGate() {
	$("token-form").addEventListener("submit", async (event) => {
		event.preventDefault();
		setToken($("token").value.trim(), $("keep").checked);
		$("token").value = "";
		setText($("token-problem"), "");
		$("gate").hidden = true;
		polls = 0;
		await poll();
		if ($("gate").hidden) $("main").focus();
	});
	$("leave").addEventListener("click", () => ask(""));
}

/** Polls and follows events, unless this page is paused, hidden or without a token. */
function resume() {
	if (isIdle()) {
		clearTimeout(timer);
		stop();
	} else {
		poll();
	}
}

function mountPause() {
	$("pause").addEventListener("click", () => {
		paused = !paused;
		$("pause").setAttribute("aria-pressed", String(paused));
		resume();
	});
	document.addEventListener("visibilitychange", resume);
}

/** Runs a request of a button, and shows its refusal in the line of the state. */
async function tell(request) {
	try {
		const answer = await request();
		poll();
		return answer;
	} catch (error) {
		$("warnings").append(el("li", { "data-level": "bad" }, error.message));
		return null;
	}
}

mountCharts();
mountKinds(tell);
mountFleet();
mountExplain();
mountPurge();
mountEvents();
mountGate();
mountPause();
$("ranges").addEventListener("change", resume);
poll();
