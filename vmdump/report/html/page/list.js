/* The list of types: filtered, drawn a piece at a time, and walked with the keyboard. */

const PIECE = 100;
const list = document.getElementById("types");
const listing = document.getElementById("listing");
let shown = []; // the entries that the filters leave
let drawn = 0; // how many of them are in the list
let selected = null;
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
    return make("li", { role: "option", id: `type-${entry.index}`, "data-index": entry.index, "aria-selected": entry === selected },
        ...drawSigns(entry),
        make("bdi", { class: "type" }, entry.type),
        make("span", { class: "notes" }, notes.filter(Boolean).join(" · ")));
}

function drawMore(least = PIECE) {
    const piece = shown.slice(drawn, drawn + least);
    list.append(...piece.map(drawOption));
    drawn += piece.length;
}

function show(chosen) {
    shown = chosen;
    drawn = 0;
    list.replaceChildren();
    listing.scrollTop = 0;
    drawMore();
    if (!shown.includes(selected)) {
        selected = null;
        if (shown.length) select(shown[0], { quiet: true });
        else {
            list.removeAttribute("aria-activedescendant");
            detail.replaceChildren(make("p", { class: "quiet" }, "No type is left; fewer filters show more."));
        }
    } else {
        reveal(selected, false);
        if (filter.direction !== null && shownWay !== filter.direction) drawDetail(selected, firstWay(selected));
    }
}

function reveal(entry, scroll = true) {
    const position = shown.indexOf(entry);
    if (position >= drawn) drawMore(position + PIECE - drawn);
    const option = document.getElementById(`type-${entry.index}`);
    for (const other of list.querySelectorAll('[aria-selected="true"]')) other.setAttribute("aria-selected", "false");
    option.setAttribute("aria-selected", "true");
    list.setAttribute("aria-activedescendant", option.id);
    if (scroll) option.scrollIntoView({ block: "nearest" });
}

function select(entry, { quiet = false, direction = firstWay(entry) } = {}) {
    selected = entry;
    reveal(entry, !quiet);
    drawDetail(entry, direction);
    if (!quiet) history.replaceState(null, "", "#" + encodeURIComponent(`${DIRECTIONS[direction]}/${entry.type}`));
}

/* Shows an entry whatever the filters are. */
function open(entry, direction) {
    if (!shown.includes(entry) || filter.direction !== null) resetFilters();
    select(entry, { direction });
    detail.focus();
}

function move(step) {
    if (!shown.length) return;
    const position = shown.indexOf(selected);
    select(shown[Math.max(0, Math.min(shown.length - 1, position + step))]);
}

function focusList() {
    list.focus();
    list.scrollIntoView({ block: "nearest" });
    if (selected) reveal(selected);
}

function focusDetail() {
    if (!selected) return;
    detail.focus();
    if (getComputedStyle(listing).position !== "relative") detail.scrollIntoView();
}

list.addEventListener("click", (event) => {
    const option = event.target.closest("[data-index]");
    if (!option) return;
    select(entries[option.dataset.index]);
    if (matchMedia("(max-width: 60rem)").matches) focusDetail();
});
