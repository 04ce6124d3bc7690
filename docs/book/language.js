// A link in the menu bar to the same page in the other language.
(() => {
    const other = { "/en/": ["/zh/", "中文"], "/zh/": ["/en/", "English"] };
    const here = Object.keys(other).find((folder) => location.pathname.includes(folder));
    const bar = document.querySelector(".right-buttons");
    if (!here || !bar) return;
    const [there, name] = other[here];
    const link = document.createElement("a");
    const at = location.pathname.lastIndexOf(here);
    link.href = location.pathname.slice(0, at) + there + location.pathname.slice(at + here.length);
    link.textContent = name;
    link.setAttribute("aria-label", name);
    bar.prepend(link);
})();
