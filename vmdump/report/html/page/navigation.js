/* Keys and scrolling, the same for the list of types and for the list of devices and machine types. */
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
