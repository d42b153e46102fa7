/* The list of types: filtered, drawn a piece at a time, and walked with the keyboard. */

const PIECE = 100;
const list = document.getElementById("types");
const listing = document.getElementById("listing");
let shown = []; // the entries that the filters leave
let drawn = 0; // how many of them are in the list
let selected = null;

function drawOption(entry) {
    const accepted = entry.findings.filter((index) => raw.findings[index].at(-1) >= 0).length;
    const count = entry.findings.length - accepted;
    const notes = [
        filter.direction === null ? arrow(DIRECTIONS[entry.direction]) : null,
        count ? `${count} finding${count === 1 ? "" : "s"}` : null,
        accepted ? `${accepted} accepted` : null,
    ];
    return make("li", { role: "option", id: `type-${entry.index}`, "data-index": entry.index, "aria-selected": entry === selected },
        make("span", { class: `sign ${entry.verdict}`, "aria-hidden": "true" }, SIGNS[entry.verdict]),
        make("span", { class: "unseen" }, `${entry.verdict}: `),
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
    } else reveal(selected, false);
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

function select(entry, { quiet = false } = {}) {
    selected = entry;
    reveal(entry, !quiet);
    drawDetail(entry);
    if (!quiet) history.replaceState(null, "", "#" + encodeURIComponent(`${DIRECTIONS[entry.direction]}/${entry.type}`));
}

/* Shows an entry whatever the filters are. */
function open(entry) {
    if (!shown.includes(entry)) resetFilters();
    select(entry);
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

list.addEventListener("keydown", (event) => {
    const page = Math.max(1, Math.floor(listing.clientHeight / 44) - 1);
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -shown.length, End: shown.length };
    if (event.key in steps) move(steps[event.key]);
    else if (event.key === "Enter") focusDetail();
    else return;
    event.preventDefault();
});

listing.addEventListener("scroll", () => {
    if (drawn < shown.length && listing.scrollTop + listing.clientHeight > listing.scrollHeight - 400) drawMore();
}, { passive: true });
