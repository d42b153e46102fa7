/* The selected type: its findings, accepted ones among them, and its bytes. */

const detail = document.getElementById("detail");
const FEW = 5; // other directions that are told at once

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

/* The other directions' verdicts of the same type, to go to; the worst, and the rest when asked for. */
function drawOthers(entry) {
    const others = entries.filter((other) => other.type === entry.type && other !== entry);
    if (others.length === 0) return null;
    const draw = (other) => make("button", { type: "button", onclick: () => open(other) },
        arrow(DIRECTIONS[other.direction]), " ", badge(other.verdict));
    const rest = others.slice(FEW);
    const more = make("details", {}, make("summary", {}, `and ${rest.length} more`));
    more.addEventListener("toggle", () => more.replaceWith(...rest.map(draw)), { once: true });
    return make("div", { class: "others" }, "Elsewhere ", ...others.slice(0, FEW).map(draw), rest.length ? more : null);
}

function arrow(direction) {
    return direction.replace(" -> ", " → ");
}

function drawDetail(entry) {
    const heading = make("h2", {}, make("bdi", {}, entry.type));
    const findings = findingsOf(entry);
    const back = make("button", { type: "button", class: "back", onclick: () => focusList() }, "← Types");
    detail.replaceChildren(
        back,
        make("div", { class: "line" }, heading, badge(entry.verdict)),
        make("p", { class: "about" }, arrow(DIRECTIONS[entry.direction]), " · section ", make("code", {}, entry.section)),
        ...[drawOthers(entry)].filter(Boolean),
        make("h3", {}, "Findings"),
        ...(findings.length ? findings.map(drawFinding) : [make("p", { class: "quiet" }, "Nothing was found.")]),
        make("h3", {}, "Bytes"),
        drawLayout(entry));
    detail.setAttribute("aria-label", `${entry.type}, ${DIRECTIONS[entry.direction]}: ${entry.verdict}`);
    detail.scrollTop = 0;
}

/* On paper: what is wrong with every type that the filters leave. */
function drawPrinted(chosen) {
    document.getElementById("printed").replaceChildren(...chosen.filter((entry) => entry.findings.length).slice(0, 2000).map((entry) =>
        make("section", {}, make("h2", {}, make("bdi", {}, entry.type), " ", badge(entry.verdict)),
            make("p", { class: "about" }, arrow(DIRECTIONS[entry.direction])), ...findingsOf(entry).map(drawFinding))));
}
