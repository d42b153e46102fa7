/* Both sides' bytes beside each other. A box is a run of bytes of one field, at its place on a ruler of 16 bytes, so
   that whatever moved is seen to have moved; bytes that differ are marked. */

const RULER = 16;
const WHOLE = 2 * RULER; // bytes of a field that are drawn one by one
const QUIET = 8; // unchanged fields in a row that are drawn
const CONTEXT = 3; // of longer runs: how many beside a change
const CHANGES = {
    same: ["=", "the same"], renamed: ["≈", "renamed"], regrouped: ["≈", "regrouped"], changed: ["≠", "changed"],
    removed: ["−", "removed"], added: ["+", "added"],
};

const hex = (number) => "0x" + number.toString(16).padStart(2, "0");
const bytes = (count) => `${count.toLocaleString("en")} byte${count === 1 ? "" : "s"}`;

function isHeading(row) {
    return (row.source ?? row.destination).size === 0 && (row.source?.size ?? 0) === 0 && (row.destination?.size ?? 0) === 0;
}

function inWords(condition) {
    return /^(if|when|since|only|unless)\b/.test(condition) ? condition : `if ${condition}`;
}

/* Where each row begins on each side: in bytes from the last place that is known; after: what made it unknown. */
function place(rows) {
    const at = { source: 0, destination: 0 };
    const after = { source: null, destination: null };
    for (const row of rows) {
        if (isHeading(row)) {
            at.source = at.destination = 0;
            after.source = after.destination = null;
        }
        row.place = {};
        for (const side of ["source", "destination"]) {
            const item = row[side];
            row.place[side] = { at: at[side], after: after[side] };
            if (item === null) continue;
            if (item.size === null) {
                at[side] = 0;
                after[side] = item.path;
            } else at[side] += item.size;
        }
        const { source, destination } = row.place;
        row.moved = row.source && row.destination && (source.at !== destination.at || source.after !== destination.after);
    }
    return rows;
}

/* Boxes for bytes [from, to) of the ruler, a line each. */
function boxes(parent, from, to, kind) {
    while (from < to) {
        const column = from % RULER;
        const width = Math.min(RULER - column, to - from);
        const box = make("i", { class: kind });
        box.style.gridColumn = `${column + 1} / span ${width}`;
        parent.append(box);
        from += width;
    }
}

function drawBytes(row, side) {
    const item = row[side];
    const grid = make("div", { class: "ruled", "aria-hidden": "true" });
    if (item === null) {
        const other = row[side === "source" ? "destination" : "source"];
        if (other.size) boxes(grid, row.place[side].at % RULER, row.place[side].at % RULER + Math.min(other.size, RULER), "gap");
        return grid;
    }
    if (item.size === null) {
        const box = make("i", { class: `open ${row.change}` }, "n");
        box.style.gridColumn = "1 / -1";
        grid.append(box);
        return grid;
    }
    const start = row.place[side].at;
    const other = row[side === "source" ? "destination" : "source"];
    const shared = row.change === "changed" && other?.size ? Math.min(item.size, other.size) : 0;
    const shown = item.size > WHOLE ? 2 * RULER - start % RULER : item.size;
    if (shared && shared < item.size && shared < shown) {
        boxes(grid, start, start + shared, "changed");
        boxes(grid, start + shared, start + shown, "changed more");
    } else boxes(grid, start, start + shown, row.change);
    if (shown < item.size) {
        const rest = make("i", { class: `rest ${row.change}` }, `⋯ ${(item.size - shown).toLocaleString("en")} more`);
        rest.style.gridColumn = "1 / -1";
        grid.append(rest);
    }
    return grid;
}

function offsetOf(row, side) {
    if (row[side] === null) return "";
    const { at, after } = row.place[side];
    return after === null ? hex(at) : `n+${hex(at)}`;
}

function nameCell(row, side) {
    const item = row[side];
    if (item === null) return make("td", { class: "name none" }, row.change === "regrouped" ? "bytes of a neighbour" : "nothing");
    const size = item.size === null ? (item.length ?? "length known at run time") : bytes(item.size);
    return make("td", { class: "name" },
        make("code", { class: "path" }, item.path),
        make("span", { class: "facts" }, [item.info, size].filter(Boolean).join(" · ")),
        item.condition === null ? null : make("span", { class: "when" }, inWords(item.condition)));
}

/* What tells the sides apart where one's bytes stand below the other's. */
function shortLabel(labels, at) {
    return labels.every((label) => label.length < 3) ? labels[at] : ["src", "dst"][at];
}

function drawRow(row, index, labels) {
    if (isHeading(row)) return drawHeading(row, index, labels);
    const [sign, words] = CHANGES[row.change] ?? ["≠", row.change];
    const side = (name, at) => [
        make("td", { class: `offset ${name}${row.moved ? " moved" : ""}`, "data-label": shortLabel(labels, at),
            title: row.place[name].after ? `from the end of ${row.place[name].after}` : null }, offsetOf(row, name)),
        make("td", { class: `bytes ${name}` }, drawBytes(row, name)),
    ];
    return make("tr", { class: `row ${row.change}${row.moved ? " shifted" : ""}`, "data-row": index },
        ...side("source", 0), nameCell(row, "source"),
        make("td", { class: "change" }, make("span", { "aria-hidden": "true", title: words }, sign),
            make("span", { class: "unseen" }, words)),
        ...side("destination", 1), nameCell(row, "destination"));
}

function drawHeading(row, index, labels) {
    const item = row.source ?? row.destination;
    const only = row.source === null ? `only ${labels[1]} has it` : row.destination === null ? `only ${labels[0]} has it` : null;
    const renamed = only === null && row.source.path !== row.destination.path ? ` → ${row.destination.path}` : "";
    return make("tr", { class: `heading ${row.change}`, "data-row": index }, make("th", { colspan: 7, scope: "colgroup" },
        make("code", {}, item.path + renamed),
        item.condition === null ? null : make("span", { class: "when" }, inWords(item.condition)),
        only === null ? null : make("span", { class: "only" }, only)));
}

/* Runs of unchanged rows that need not be seen: [first, last) pairs. */
function quietRuns(rows) {
    const runs = [];
    const quiet = (row) => row.change === "same" && !isHeading(row);
    if (rows.every((row) => row.change === "same")) return rows.length > 200 ? [[100, rows.length]] : runs;
    for (let first = 0; first < rows.length; first++) {
        if (!quiet(rows[first])) continue;
        let last = first;
        while (last < rows.length && quiet(rows[last])) last++;
        const begin = first === 0 || isHeading(rows[first - 1]) && rows[first - 1].change === "same" ? first : first + CONTEXT;
        const end = last === rows.length ? last : last - CONTEXT;
        if (end - begin > QUIET) runs.push([begin, end]);
        first = last;
    }
    return runs;
}

function drawFold(rows, first, last, labels) {
    const sum = rows.slice(first, last).reduce((total, row) => total + ((row.source ?? row.destination).size ?? 0), 0);
    const button = make("button", { type: "button" }, `⋯ ${last - first} unchanged fields, ${bytes(sum)} ⋯`);
    const fold = make("tr", { class: "fold" }, make("td", { colspan: 7 }, button));
    button.addEventListener("click", () => {
        const drawn = rows.slice(first, last).map((row, offset) => drawRow(row, first + offset, labels));
        fold.replaceWith(...drawn);
        const focus = drawn[0].querySelector("td.name") ?? drawn[0];
        focus.setAttribute("tabindex", "-1");
        focus.focus();
    });
    return fold;
}

/* The whole state as two strips, one above the other: a look at where the differences are. */
function drawMap(rows) {
    const map = make("div", { class: "map", "aria-hidden": "true" });
    rows.forEach((row, index) => {
        if (isHeading(row)) {
            if (index) map.append(make("div", { class: "part" }));
            return;
        }
        const size = Math.max(row.source?.size ?? 8, row.destination?.size ?? 8);
        const column = make("div", { class: `col ${row.change}`, title: (row.source ?? row.destination).path, "data-to": index },
            make("i", { class: row.source ? "" : "gap" }), make("i", { class: row.destination ? "" : "gap" }));
        column.style.flexGrow = Math.min(size, 64);
        map.append(column);
    });
    return map;
}

function total(rows, side) {
    const items = rows.map((row) => row[side]).filter((item) => item !== null);
    const open = items.some((item) => item.size === null);
    return bytes(items.reduce((sum, item) => sum + (item.size ?? 0), 0)) + (open ? " + n" : "");
}

function drawLayout(entry) {
    const rows = place(layoutOf(entry));
    const labels = DIRECTIONS[entry.direction].split(" -> ");
    if (rows.length === 0) return make("p", { class: "quiet" }, "No layout is known of it.");
    const ruler = () => make("div", { class: "ruled digits", "aria-hidden": "true" },
        ...Array.from({ length: RULER }, (_, digit) => make("span", {}, digit.toString(16))));
    const body = make("tbody");
    const runs = quietRuns(rows);
    for (let index = 0; index < rows.length; index++) {
        const run = runs.find(([first]) => first === index);
        if (run) {
            body.append(drawFold(rows, ...run, labels));
            index = run[1] - 1;
        } else body.append(drawRow(rows[index], index, labels));
    }
    const side = (name, at) => [
        make("th", { scope: "col", class: `offset ${name}` }, "at"),
        make("th", { scope: "col", class: `bytes ${name}` }, make("span", { class: "unseen" }, "bytes"), ruler()),
        make("th", { scope: "col", class: "name" }, make("b", { class: "label" }, labels[at] ?? name),
            make("span", { class: "facts" }, ` ${name}, ${total(rows, name)}`)),
    ];
    const head = make("thead", {}, make("tr", {}, ...side("source", 0),
        make("th", { class: "change", scope: "col" }, make("span", { class: "unseen" }, "change")), ...side("destination", 1)));
    const map = drawMap(rows);
    map.addEventListener("click", (event) => {
        const to = event.target.closest("[data-to]")?.dataset.to;
        body.querySelector(`[data-row="${to}"]`)?.scrollIntoView({ block: "center" });
    });
    return make("div", { class: "layout" }, map, make("div", { class: "scroll" }, make("table", { class: "wire" }, head, body)));
}
