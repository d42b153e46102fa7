"use strict";
/* What all pages with a script share: making elements, what the address names, and the theme. */

const byId = (id) => document.getElementById(id);

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

/* What is after # in the address; nothing if it is malformed. */
function wantedByAddress() {
    try {
        return decodeURIComponent(location.hash.slice(1));
    } catch {
        return "";
    }
}

const THEMES = ["auto", "light", "dark"];

function setTheme(theme) {
    if (theme === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    byId("theme").textContent = `Theme: ${theme}`;
    try {
        localStorage.setItem("vmdump-theme", theme);
    } catch { /* a page from a disk may have no storage */ }
}

function nextTheme() {
    setTheme(THEMES[(THEMES.indexOf(document.documentElement.dataset.theme ?? "auto") + 1) % THEMES.length]);
}

function storedTheme() {
    try {
        const theme = localStorage.getItem("vmdump-theme");
        return THEMES.includes(theme) ? theme : "auto";
    } catch {
        return "auto";
    }
}

byId("theme").addEventListener("click", nextTheme);
setTheme(storedTheme());
