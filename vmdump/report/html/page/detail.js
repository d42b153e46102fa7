/* The selected type: its findings, accepted ones among them, and its bytes. */

const FEW = 5; // other directions that are shown at once

function drawFinding(finding) {
    const fact = (name, value) => value === null ? [] : [make("dt", {}, name), make("dd", {}, value)];
    const side = (value) => value && [
        ...(value.path === finding.path ? [] : [make("code", {}, value.path), make("br")]), value.facts];
    const about = RULE_TEXTS.get(finding.rule);
    const facts = [
        ...fact("If", finding.condition),
        ...(finding.source ? [make("dt", {}, "Source"), make("dd", {}, ...side(finding.source))] : fact("Source", "nothing")),
        ...(finding.destination
            ? [make("dt", {}, "Destination"), make("dd", {}, ...side(finding.destination))] : fact("Destination", "nothing")),
        ...fact("Note", finding.note),
        ...fact("Remedy", finding.remedy),
        ...fact("Accepted", finding.reason),
    ];
    return make("section", { class: `finding ${finding.verdict}${finding.reason === null ? "" : " accepted"}` },
        make("div", { class: "line" }, badge(finding.verdict),
            finding.reason === null ? null : make("span", { class: "badge was" }, "accepted"),
            make("code", { class: "rule" }, finding.rule)),
        make("p", { class: "message" }, finding.message),
        make("p", { class: "where" }, make("code", {}, finding.path)),
        make("dl", {}, ...facts),
        about ? make("details", { class: "why" }, make("summary", {}, about.summary), make("p", {}, about.help)) : null);
}

/* Both ways between two dumps, beside each other: the one that is shown is pressed. */
function drawWays(entry, direction) {
    const ways = [direction, REVERSE[direction]].filter((way) => entry.ways.has(way)).sort((a, b) => a - b);
    return make("div", { class: "ways", role: "group", "aria-label": "Directions" }, ...ways.map((way) =>
        make("button", { type: "button", class: "way", "data-way": way, "aria-pressed": String(way === direction),
            onclick: () => {
                select(entry, { direction: way });
                detail.querySelector(`[data-way="${way}"]`).focus();
            } }, arrow(DIRECTIONS[way]), " ", badge(entry.ways.get(way).verdict))));
}

/* The same type between other dumps, to go to: the worst, and the rest when asked for. */
function drawOthers(entry, direction) {
    const others = [...entry.ways].filter(([way]) => way !== direction && way !== REVERSE[direction])
        .sort(([, a], [, b]) => a.rank - b.rank);
    if (others.length === 0) return null;
    const draw = ([way, record]) => make("button", { type: "button", onclick: () => open(entry, way) },
        arrow(DIRECTIONS[way]), " ", badge(record.verdict));
    const rest = others.slice(FEW);
    const more = make("details", {}, make("summary", {}, `and ${rest.length.toLocaleString("en")} more`));
    more.addEventListener("toggle", () => more.replaceWith(...rest.map(draw)), { once: true });
    return make("div", { class: "others" }, "Between others ", ...others.slice(0, FEW).map(draw), rest.length ? more : null);
}

/* The direction of an entry that is shown at first: the filter's, or the first of the worst. */
function firstWay(entry) {
    if (filter.direction !== null) {
        return entry.ways.has(filter.direction) ? filter.direction : REVERSE[filter.direction];
    }
    const worst = worstOf(entry.ways.values());
    for (const [way, record] of entry.ways) if (record.rank === worst.rank) return way;
    return null;
}

let shownWay = null;

function drawDetail(entry, direction) {
    shownWay = direction;
    const record = entry.ways.get(direction);
    const findings = findingsOf(record);
    const back = make("button", { type: "button", class: "back", onclick: () => focusList() }, "← Types");
    detail.replaceChildren(
        back,
        make("div", { class: "line" }, make("h2", {}, make("bdi", {}, entry.type)), badge(record.verdict)),
        make("p", { class: "about" }, arrow(DIRECTIONS[direction]), " · section ", make("code", {}, record.section)),
        drawWays(entry, direction),
        ...[drawOthers(entry, direction)].filter(Boolean),
        make("h3", {}, "Findings"),
        ...(findings.length ? findings.map(drawFinding) : [make("p", { class: "quiet" }, "No findings.")]),
        make("h3", {}, "Bytes"),
        drawLayout(record, DIRECTIONS[direction]));
    detail.setAttribute("aria-label", `${entry.type}, ${DIRECTIONS[direction]}: ${record.verdict}`);
    detail.scrollTop = 0;
}

/* On paper: the findings of each type that the filters leave; what is equal in many directions is printed once. */
function drawPrinted(chosen) {
    const sections = [];
    for (const entry of chosen) {
        for (const record of recordsOf(entry)) {
            if (!record.findings.length || sections.length === 2000) continue;
            const ways = [...entry.ways].filter(([, other]) => other === record).map(([way]) => arrow(DIRECTIONS[way]));
            const more = ways.length > FEW ? `, and ${ways.length - FEW} more` : "";
            sections.push(make("section", {}, make("h2", {}, make("bdi", {}, entry.type), " ", badge(record.verdict)),
                make("p", { class: "about" }, ways.slice(0, FEW).join(", ") + more), ...findingsOf(record).map(drawFinding)));
        }
    }
    byId("printed").replaceChildren(...sections);
}
