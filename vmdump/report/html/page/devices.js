/* Devices, standalone descriptions and machine types: what each is in every release. The data is that of
   vmdump/report/html/devices.py: strings once, states as [tables, [table, key, value, ...]] of their numbers. */

const raw = JSON.parse(byId("data").textContent);
const HITS = 3; // names of fields that the list shows for a search
const ABSENT = -1; // the subject is not there
const NO_TARGET = -2; // the release has none of the targets
const NOT_READ = -3; // the machine types of the release were not read
const KEEP = 12; // unchanged facts that are shown at once

const text = (index) => raw.strings[index];

const entries = raw.subjects.map(([kind, name, section, groups], index) => ({
    index, kind: raw.kinds[kind], name, section,
    groups: groups.map(([targets, states]) => ({ targets: targets.map((each) => raw.targets[each]), states })),
}));
const filter = { words: [], kinds: new Set(raw.kinds), target: "", change: "" };

/* Releases in a row with the same state: [state, first, last]. Releases without the target are passed over. */
function runsOf(states) {
    const runs = [];
    states.forEach((state, release) => {
        if (state === NO_TARGET) return;
        const last = runs.at(-1);
        if (last && last[0] === state) last[2] = release;
        else runs.push([state, release, release]);
    });
    return runs;
}

/* The contents of each table that a state has, for comparison. */
const contents = new Map();
function contentsOf(state) {
    if (!contents.has(state)) {
        const [known, facts] = raw.states[state];
        const found = new Map(known.map((table) => [table, []]));
        for (let at = 0; at < facts.length; at += 3) found.get(facts[at]).push(facts[at + 1], facts[at + 2]);
        contents.set(state, new Map([...found].map(([table, parts]) => [table, parts.join()])));
    }
    return contents.get(state);
}

/* Whether states differ in a table that both have. */
function areDifferent(states) {
    const found = new Map();
    return states.some((state) => [...contentsOf(state)].some(([table, parts]) => {
        if (!found.has(table)) found.set(table, parts);
        return found.get(table) !== parts;
    }));
}

/* Whether releases have different states, and whether some lack the subject. */
const isChanged = (subject) => subject.groups.some((group) => areDifferent([...new Set(group.states)].filter((state) => state >= 0)));
const isNewOrGone = (subject) => subject.groups.some((group) => group.states.includes(ABSENT));
const SHOWN = { "": () => true, changed: isChanged, partly: isNewOrGone };

/* Keys of all facts, once each: what the search looks through, beside the name. */
function keysOf(subject) {
    if (!subject.keys) {
        const found = new Set();
        for (const state of new Set(subject.groups.flatMap((group) => group.states))) {
            if (state < 0) continue;
            const facts = raw.states[state][1];
            for (let at = 0; at < facts.length; at += 3) found.add(facts[at + 1]);
        }
        subject.keys = [...found].map(text);
        subject.words = [subject.name, subject.section, ...subject.keys].join("\n").toLowerCase();
    }
    return subject.keys;
}

/* How well a subject is what was searched for; 0 is best, null: not at all. */
function rankOf(subject) {
    const { words } = filter;
    if (words.length === 0) return 0;
    const name = subject.name.toLowerCase();
    if (name === words.join(" ")) return 0;
    if (words.every((word) => name.includes(word))) return name.startsWith(words[0]) ? 1 : 2;
    keysOf(subject);
    return words.every((word) => subject.words.includes(word)) ? 3 : null;
}

function applyFilters() {
    const found = [];
    for (const subject of entries) {
        if (!filter.kinds.has(subject.kind)) continue;
        if (filter.target && !subject.groups.some((group) => group.targets.includes(filter.target))) continue;
        if (!SHOWN[filter.change](subject)) continue;
        const rank = rankOf(subject);
        if (rank !== null) found.push([rank, subject]);
    }
    found.sort(([a], [b]) => a - b); // stable
    if (show(found.map(([, subject]) => subject))) drawDetail(selected);
    byId("status").textContent = `${shown.length.toLocaleString("en")} of ${entries.length.toLocaleString("en")}`;
    for (const button of byId("kinds").children) {
        button.setAttribute("aria-pressed", String(filter.kinds.has(button.dataset.kind)));
    }
}

/* Fields and properties that the search found, unless the name is what it found. */
function hitsOf(subject) {
    if (filter.words.length === 0 || filter.words.every((word) => subject.name.toLowerCase().includes(word))) return null;
    const hits = keysOf(subject).filter((key) => filter.words.some((word) => key.toLowerCase().includes(word)));
    const more = hits.length > HITS ? `, and ${hits.length - HITS} more` : "";
    return make("span", { class: "hits" }, hits.slice(0, HITS).join(", ") + more);
}

function drawOption(subject) {
    const changed = isChanged(subject);
    return [
        make("bdi", { class: "name" }, subject.name),
        changed ? make("span", { class: "changed", title: "differs between releases", "aria-hidden": "true" }, "≠") : null,
        make("span", { class: "kind" }, subject.kind, changed ? make("span", { class: "unseen" }, ", changed") : null),
        hitsOf(subject),
    ];
}

const addressOf = (subject) => "#" + encodeURIComponent(`${subject.kind}/${subject.name}`);

function select(subject, { quiet = false } = {}) {
    selected = subject;
    reveal({ quiet });
    drawDetail(subject);
    if (!quiet) history.replaceState(null, "", addressOf(subject));
}

/* The facts of a state by table: a Map of key to value; null: the table was not read. */
function tablesOf(state) {
    const tables = new Map();
    if (state < 0) return tables;
    const [known, facts] = raw.states[state];
    for (const table of known) tables.set(table, new Map());
    for (let at = 0; at < facts.length; at += 3) tables.get(facts[at]).set(facts[at + 1], facts[at + 2]);
    return tables;
}

/* Keys of several states in an order that agrees with each of them as far as possible. */
function orderedKeys(maps) {
    const keys = [];
    for (const map of maps) {
        let at = 0;
        for (const key of map.keys()) {
            const there = keys.indexOf(key);
            if (there >= 0) at = there + 1;
            else keys.splice(at++, 0, key);
        }
    }
    return keys;
}

function namesOf([, first, last]) {
    return first === last ? raw.names[first] : `${raw.names[first]} – ${raw.names[last]}`;
}

/* What the heads of runs say: each is compared with the latest state that was read. */
function notesOf(runs) {
    let before = new Map(); // the latest contents of each table
    return runs.map(([state], at) => {
        if (state === NOT_READ) return "not read";
        if (state === ABSENT) {
            before = new Map();
            return "not there";
        }
        const known = contentsOf(state);
        const differs = [...known].some(([table, parts]) => before.has(table) && before.get(table) !== parts);
        before = new Map([...before, ...known]);
        if (at > 0 && runs[at - 1][0] === ABSENT) return "new";
        return differs ? "differs" : "";
    });
}

function drawHead(runs) {
    const notes = notesOf(runs);
    return make("tr", {}, make("td", {}), ...runs.map((run, at) => {
        const [, first, last] = run;
        const count = raw.labels.slice(first, last + 1).length;
        const note = notes[at];
        return make("th", { scope: "col", title: raw.labels.slice(first, last + 1).join(", ") }, namesOf(run),
            make("span", { class: "since" }, [count > 1 ? `${count} releases` : "", note].filter(Boolean).join(", ")));
    }));
}

/* A fact's cells: its value in the first run, and in others what differs from the one before. */
function cellsOf(table, key, states, runs) {
    let before; // undefined: nothing to compare with
    return runs.map(([state], at) => {
        const known = states[at].get(table);
        if (state === ABSENT) {
            before = undefined;
            return ["", ""];
        }
        if (known === undefined) return ["unread", "not read"];
        const value = known.get(key) ?? null;
        const was = before;
        before = value;
        if (was === undefined) return ["", value === null ? "–" : text(value)];
        if (value === was) return ["same", value === null ? "–" : "="];
        if (value === null) return ["removed", "− removed"];
        return was === null ? ["added", `+ ${text(value)}`] : ["changed", text(value)];
    });
}

function drawRow(key, cells) {
    return make("tr", {}, make("th", { scope: "row" }, text(key)), ...cells.map(([kind, words]) => make("td", { class: kind }, words)));
}

/* Rows of a table: what changed, and the rest behind a button if it is much. */
function drawTable(table, states, runs) {
    const maps = states.map((each) => each.get(table)).filter(Boolean);
    if (maps.length === 0) return [];
    const rows = orderedKeys(maps).map((key) => [key, cellsOf(table, key, states, runs)]);
    const isLoud = ([, cells]) => cells.some(([kind]) => ["added", "removed", "changed"].includes(kind));
    const quiet = rows.filter((row) => !isLoud(row));
    const title = make("tr", { class: "title" }, make("th", { colspan: runs.length + 1 }, text(table), rows.length ? "" : ": none"));
    const folded = quiet.length === rows.length ? rows.length > 4 * KEEP : quiet.length > KEEP;
    if (!folded) return [title, ...rows.map(([key, cells]) => drawRow(key, cells))];
    const first = quiet.length === rows.length ? rows.slice(0, KEEP) : rows.filter(isLoud);
    const words = quiet.length === rows.length ? `${rows.length - KEEP} more` : `${quiet.length} that did not change`;
    const fold = make("tr", { class: "fold" }, make("td", { colspan: runs.length + 1 }));
    const visible = first.map(([key, cells]) => drawRow(key, cells));
    fold.firstChild.append(make("button", { type: "button", onclick: () => {
        const all = rows.map(([key, cells]) => drawRow(key, cells));
        fold.replaceWith(...all);
        for (const row of visible) row.remove();
        all[0].tabIndex = -1;
        all[0].focus();
    } }, words));
    return [title, ...visible, fold];
}

/* The verdicts of a target: the page, at the last step between releases that both have the device and differ. */
function verdictsOf(target, runs, subject) {
    const page = `${encodeURIComponent(target)}.html`;
    const step = runs.findLastIndex(([state], at) => at > 0 && state >= 0 && runs[at - 1][0] >= 0);
    if (step < 0) return page;
    const way = `${raw.labels[runs[step - 1][2]]} -> ${raw.labels[runs[step][1]]}`;
    return `${page}#${encodeURIComponent(`${way}/${subject.name}`)}`;
}

function drawGroup(group, subject) {
    const runs = runsOf(group.states);
    const states = runs.map(([state]) => tablesOf(state));
    const tables = orderedKeys(states);
    const targets = group.targets.map((target) => raw.pages.includes(target) && subject.kind !== "machine type"
        ? make("a", { href: verdictsOf(target, runs, subject), title: `verdicts of ${target}` }, target) : target);
    const words = targets.flatMap((target, at) => at ? [", ", target] : [target]);
    const label = `${subject.name} in ${group.targets.join(", ")}`;
    return make("section", { class: "group", "aria-label": label },
        make("p", { class: "targets" }, ...words),
        make("div", { class: "frame", tabindex: "0", role: "region", "aria-label": label },
            make("table", { class: "history" }, make("thead", {}, drawHead(runs)),
                make("tbody", {}, ...tables.flatMap((table) => drawTable(table, states, runs))))));
}

function drawDetail(subject) {
    const back = make("button", { type: "button", class: "back", onclick: () => focusList() }, "← List");
    const groups = subject.groups.filter((group) => !filter.target || group.targets.includes(filter.target));
    detail.replaceChildren(back,
        make("h2", {}, make("bdi", {}, subject.name)),
        make("p", { class: "about" }, subject.kind, ...(subject.section && subject.section !== subject.name
            ? [" · section ", make("code", {}, subject.section)] : [])),
        ...groups.map((group) => drawGroup(group, subject)));
    detail.setAttribute("aria-label", `${subject.kind} ${subject.name}`);
    detail.scrollTop = 0;
}

function fillFilters() {
    for (const kind of raw.kinds) {
        const count = entries.filter((subject) => subject.kind === kind).length;
        if (count === 0) continue;
        byId("kinds").append(make("button", { type: "button", class: "toggle", "data-kind": kind, onclick: () => {
            if (!filter.kinds.delete(kind)) filter.kinds.add(kind);
            applyFilters();
        } }, `${kind}s `, make("b", {}, count.toLocaleString("en"))));
    }
    byId("target").append(make("option", { value: "" }, "all"), ...raw.targets.map((name) => make("option", { value: name }, name)));
    byId("target").addEventListener("change", (event) => {
        filter.target = event.target.value;
        applyFilters();
    });
    byId("changed").addEventListener("change", (event) => {
        filter.change = event.target.value;
        applyFilters();
    });
}

/* #KIND/NAME opens that subject. */
function openFromAddress() {
    const wanted = wantedByAddress();
    const subject = entries.find((each) => wanted === `${each.kind}/${each.name}`);
    if (!subject) return;
    if (!shown.includes(subject)) {
        search.value = byId("target").value = byId("changed").value = "";
        Object.assign(filter, { words: [], kinds: new Set(raw.kinds), target: "", change: "" });
        applyFilters();
    }
    select(subject);
}

addEventListener("hashchange", openFromAddress);
fillFilters();
applyFilters();
openFromAddress();
