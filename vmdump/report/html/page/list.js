/* The types in the list: what each shows, and what selecting one does. */

const IS_ONE_WAY = REVERSE.every((way) => way < 0);

/* Forward and backward beside each other; of one direction alone, its verdict. */
function drawSigns(entry) {
    const both = bothWays(entry, filter.direction);
    const names = filter.direction === null || REVERSE[filter.direction] < 0 ? ["forward", "backward"]
        : [filter.direction, REVERSE[filter.direction]].map((way) => arrow(DIRECTIONS[way]));
    const signs = both.map((record, at) => make("span", {
        class: `sign ${record?.verdict ?? "nothing"}`, "aria-hidden": "true",
        title: `${names[at]}: ${record?.verdict ?? "not there"}`,
    }, record ? SIGNS[record.verdict] : ""));
    const words = both.map((record, at) => record && `${names[at]} ${record.verdict}`).filter(Boolean).join(", ");
    return [...(IS_ONE_WAY ? signs.filter((_, at) => both[at]) : signs), make("span", { class: "unseen" }, `${words}: `)];
}

/* How many findings and accepted findings an entry has, the same in several directions counted once. */
function countsOf(entry) {
    const all = new Set(recordsOf(entry, filter.direction).flatMap((record) => record.findings));
    const accepted = [...all].filter((index) => raw.findings[index].at(-1) >= 0).length;
    return [all.size - accepted, accepted];
}

function drawOption(entry) {
    const [count, accepted] = countsOf(entry);
    const notes = [count ? `${count} finding${count === 1 ? "" : "s"}` : null, accepted ? `${accepted} accepted` : null];
    return [...drawSigns(entry), make("bdi", { class: "type" }, entry.type),
        make("span", { class: "notes" }, notes.filter(Boolean).join(" · "))];
}

function select(entry, { quiet = false, direction = firstWay(entry) } = {}) {
    selected = entry;
    reveal({ quiet });
    drawDetail(entry, direction);
    if (!quiet) history.replaceState(null, "", "#" + encodeURIComponent(`${DIRECTIONS[direction]}/${entry.type}`));
}

/* Shows an entry whatever the filters are. */
function open(entry, direction) {
    if (!shown.includes(entry) || filter.direction !== null) resetFilters();
    select(entry, { direction });
    detail.focus();
}
