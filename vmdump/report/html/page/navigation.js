/* The list of what a page is about, the same for types and for devices and machine types: drawn a piece at a time, and
   walked with the keyboard. The script of a page has entries, each with its index; filter and applyFilters(), which calls
   show(); drawOption(entry), the content of an option; and select(entry, { quiet }), which calls reveal(). */

const PIECE = 100;
const search = byId("search");
const list = document.querySelector('[role="listbox"]');
const listing = byId("listing");
const detail = byId("detail");
let shown = []; // the entries that the filters leave
let drawn = 0; // how many of them are in the list
let selected = null;

function drawMore(least = PIECE) {
    const piece = shown.slice(drawn, drawn + least);
    list.append(...piece.map((entry) => make("li", { role: "option", id: `option-${entry.index}`,
        "data-index": entry.index, "aria-selected": String(entry === selected) }, ...drawOption(entry))));
    drawn += piece.length;
}

/* Shows the entries that the filters leave. Returns whether the selected one is among them; else the first is selected. */
function show(chosen) {
    shown = chosen;
    drawn = 0;
    list.replaceChildren();
    listing.scrollTop = 0;
    drawMore();
    if (shown.includes(selected)) {
        reveal({ quiet: true });
        return true;
    }
    selected = null;
    if (shown.length) select(shown[0], { quiet: true });
    else {
        list.removeAttribute("aria-activedescendant");
        detail.replaceChildren(make("p", { class: "quiet" }, "Nothing is left; fewer filters show more."));
    }
    return false;
}

/* Marks the selected entry. quiet: without scrolling to it. */
function reveal({ quiet = false } = {}) {
    const position = shown.indexOf(selected);
    if (position >= drawn) drawMore(position + PIECE - drawn);
    for (const other of list.querySelectorAll('[aria-selected="true"]')) other.setAttribute("aria-selected", "false");
    const option = byId(`option-${selected.index}`);
    option.setAttribute("aria-selected", "true");
    list.setAttribute("aria-activedescendant", option.id);
    if (!quiet) option.scrollIntoView({ block: "nearest" });
}

function move(step) {
    if (shown.length) select(shown[Math.max(0, Math.min(shown.length - 1, shown.indexOf(selected) + step))]);
}

function focusList() {
    list.focus();
    list.scrollIntoView({ block: "nearest" });
    if (selected) reveal();
}

const isNarrow = () => matchMedia("(max-width: 60rem)").matches;

function focusDetail() {
    if (!selected) return;
    detail.focus();
    if (isNarrow()) detail.scrollIntoView();
}

list.addEventListener("click", (event) => {
    const option = event.target.closest("[data-index]");
    if (!option) return;
    select(entries[option.dataset.index]);
    if (isNarrow()) focusDetail();
});

search.addEventListener("input", () => {
    filter.words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    applyFilters();
});

byId("filters").addEventListener("submit", (event) => event.preventDefault());

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

document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const typing = event.target.matches("input, select, textarea");
    if (event.key === "/" && !typing) {
        search.focus();
        search.select();
    } else if (event.key === "t" && !typing) nextTheme();
    else if (event.key === "Escape" && event.target === search && search.value) {
        search.value = "";
        search.dispatchEvent(new Event("input"));
    } else if (event.key === "Escape") focusList();
    else if ((event.key === "ArrowDown" || event.key === "Enter") && event.target === search) focusList();
    else return;
    event.preventDefault();
});
