"use strict";
/* The data that html_data.py wrote, as objects: made when they are asked for, since there may be very many. */

const raw = JSON.parse(document.getElementById("data").textContent);
const VERDICTS = raw.verdicts;
const SIGNS = { breaks: "✕", conditional: "?", absent: "∅", safe: "✓" };
const LABELS = raw.labels;
const DIRECTIONS = raw.directions.map(([name]) => text(name));
const RULES = raw.rules.map(text);
const RULE_TEXTS = new Map(raw.ruleTexts.map(([rule, summary, help]) => [text(rule), { summary, help }]));

function text(index) {
    return index < 0 ? null : raw.strings[index];
}

/* All types of all directions, the worst first, then in the order of the directions. */
const entries = raw.directions.flatMap(([, types], direction) =>
    types.map(([type, verdict, section, layout, findings]) => ({
        type: text(type), verdict: VERDICTS[verdict], rank: verdict, section: text(section), layout, findings, direction,
    })));
entries.sort((a, b) => a.rank - b.rank || a.direction - b.direction);
entries.forEach((entry, index) => { entry.index = index; });

function findingsOf(entry) {
    return entry.findings.map((index) => {
        const [rule, verdict, ...texts] = raw.findings[index];
        const [path, message, sourcePath, sourceFacts, destinationPath, destinationFacts, condition, remedy, reason] =
            texts.map(text);
        const side = (at, facts) => facts === null ? null : { path: at, facts };
        return {
            rule: text(rule), verdict: VERDICTS[verdict], path, message, condition, remedy, reason,
            source: side(sourcePath, sourceFacts), destination: side(destinationPath, destinationFacts),
        };
    });
}

function itemOf(index) {
    if (index < 0) return null;
    const [path, size, length, info, condition] = raw.items[index];
    return { path: text(path), size: size < 0 ? null : size, length: text(length), info: text(info), condition: text(condition) };
}

function layoutOf(entry) {
    return raw.layouts[entry.layout].map((row) => {
        const [source, destination, change] = raw.rows[row];
        return { source: itemOf(source), destination: itemOf(destination), change: text(change) };
    });
}

/* What the search looks through: lower case; names in layouts are shared by many types. */
const layoutWords = new Map();

function wordsOf(entry) {
    entry.words ??= [entry.type, entry.section, ...findingsOf(entry).flatMap(
        (finding) => [finding.rule, finding.path, finding.message, finding.reason ?? ""])].join("\n").toLowerCase();
    if (!layoutWords.has(entry.layout)) {
        const names = layoutOf(entry).flatMap((row) => [row.source?.path ?? "", row.destination?.path ?? ""]);
        layoutWords.set(entry.layout, [...new Set(names)].join("\n").toLowerCase());
    }
    return entry.words + "\n" + layoutWords.get(entry.layout);
}

/* An element. Everything that comes from the data is set as text, never as HTML. */
function make(tag, attributes = {}, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
        if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
        else if (value !== null && value !== undefined && value !== false) element.setAttribute(name, value);
    }
    element.append(...children.filter((child) => child !== null));
    return element;
}

function badge(verdict) {
    return make("span", { class: `badge ${verdict}` }, make("span", { "aria-hidden": "true" }, SIGNS[verdict]), " " + verdict);
}
