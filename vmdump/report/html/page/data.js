/* The data that vmdump/report/html/data.py wrote, as objects: made when they are asked for, since there may be very
   many. */

const raw = JSON.parse(byId("data").textContent);
const VERDICTS = raw.verdicts;
const SIGNS = Object.fromEntries(VERDICTS.map((verdict, index) => [verdict, raw.marks[index]]));
const LABELS = raw.labels;
const DIRECTIONS = raw.directions.map(([name]) => text(name));
const RULES = raw.rules.map(text);
const RULE_TEXTS = new Map(raw.ruleTexts.map(([rule, summary, help]) => [text(rule), { summary, help }]));

function text(index) {
    return index < 0 ? null : raw.strings[index];
}

/* What was found of a type, in one direction or in many. */
const records = raw.types.map(([type, verdict, section, layout, findings]) =>
    ({ type: text(type), verdict: VERDICTS[verdict], rank: verdict, section: text(section), layout, findings }));

/* The direction back, of each direction; -1: it was not checked. */
const REVERSE = raw.directions.map(([, from, to]) =>
    from < 0 ? -1 : raw.directions.findIndex(([, otherFrom, otherTo]) => otherFrom === to && otherTo === from));

/* Whether a direction leads from an earlier dump to a later one. */
const isForward = (direction) => raw.directions[direction][1] <= raw.directions[direction][2];

/* Every type once, with its record in each direction that has it; the worst first. */
const entries = [];
{
    const known = new Map();
    raw.directions.forEach(([, , , types], direction) => {
        for (const number of types) {
            const record = records[number];
            if (!known.has(record.type)) {
                const entry = { type: record.type, index: 0, rank: record.rank, ways: new Map() };
                known.set(record.type, entry);
                entries.push(entry);
            }
            const entry = known.get(record.type);
            const there = entry.ways.get(direction);
            if (!there || record.rank < there.rank) entry.ways.set(direction, record);
            entry.rank = Math.min(entry.rank, record.rank);
        }
    });
    entries.sort((a, b) => a.rank - b.rank); // stable: then in the order of the directions
    entries.forEach((entry, index) => { entry.index = index; });
}

/* The worst of records, or null. */
function worstOf(some) {
    let worst = null;
    for (const record of some) if (record && (worst === null || record.rank < worst.rank)) worst = record;
    return worst;
}

/* The records of an entry in a direction, or (null) in all of them: each once. */
function recordsOf(entry, direction = null) {
    if (direction === null) return entry.records ??= [...new Set(entry.ways.values())];
    return entry.ways.has(direction) ? [entry.ways.get(direction)] : [];
}

/* What is beside each other in the list: the worst record forward and backward, or of a direction and of the way back. */
function bothWays(entry, direction = null) {
    if (direction !== null) return [entry.ways.get(direction) ?? null, entry.ways.get(REVERSE[direction]) ?? null];
    return entry.both ??= [true, false].map((forward) =>
        worstOf([...entry.ways].filter(([way]) => isForward(way) === forward).map(([, record]) => record)));
}

function findingsOf(record) {
    return record.findings.map((index) => {
        const [rule, verdict, ...texts] = raw.findings[index];
        const [path, message, sourcePath, sourceFacts, destinationPath, destinationFacts, condition, note, remedy, reason] =
            texts.map(text);
        const side = (at, facts) => facts === null ? null : { path: at, facts };
        return {
            rule: text(rule), verdict: VERDICTS[verdict], path, message, condition, note, remedy, reason,
            source: side(sourcePath, sourceFacts), destination: side(destinationPath, destinationFacts),
        };
    });
}

function itemOf(index) {
    if (index < 0) return null;
    const [path, size, length, info, condition] = raw.items[index];
    return { path: text(path), size: size < 0 ? null : size, length: text(length), info: text(info), condition: text(condition) };
}

function layoutOf(record) {
    return raw.layouts[record.layout].map((row) => {
        const [source, destination, change] = raw.rows[row];
        return { source: itemOf(source), destination: itemOf(destination), change: text(change) };
    });
}

/* What the search looks through: lower case; names in layouts are shared by many types. */
const layoutWords = new Map();

function wordsOf(record) {
    record.words ??= [record.type, record.section, ...findingsOf(record).flatMap(
        (finding) => [finding.rule, finding.path, finding.message, finding.reason ?? ""])].join("\n").toLowerCase();
    if (!layoutWords.has(record.layout)) {
        const names = layoutOf(record).flatMap((row) => [row.source?.path ?? "", row.destination?.path ?? ""]);
        layoutWords.set(record.layout, [...new Set(names)].join("\n").toLowerCase());
    }
    return record.words + "\n" + layoutWords.get(record.layout);
}

function arrow(direction) {
    return direction.replace(" -> ", " → ");
}

function badge(verdict) {
    return make("span", { class: `badge ${verdict}` }, make("span", { "aria-hidden": "true" }, SIGNS[verdict]), " " + verdict);
}
