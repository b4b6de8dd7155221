// A tab leads to the same heading under the other profile.
document.querySelectorAll("nav.profiles a").forEach((tab) => {
  tab.addEventListener("click", () => {
    const passed = [...document.querySelectorAll("article section[id]")].filter(
      (section) => section.getBoundingClientRect().top < 160,
    );
    tab.hash = passed.length > 1 ? passed[passed.length - 1].id : "";
  });
});

// Names for who does not see them: folds of cells are called as they read, those of the side bar
// after the page that they belong to.
document.querySelectorAll("details.hide > summary").forEach((summary) => {
  summary.removeAttribute("aria-label");
});
document.querySelectorAll("nav li > details > summary").forEach((summary) => {
  const page = summary.closest("li").querySelector("a");
  summary.setAttribute("aria-label", `Other profiles of ${page.textContent.trim()}`);
});

// A figure that is shown smaller than it is opens in its own size.
document.querySelectorAll("article img").forEach((image) => {
  if (image.closest("a") || image.closest(".touch")) return;
  const link = document.createElement("a");
  link.href = image.src;
  link.title = "In its own size"; // it is called as the figure is
  image.replaceWith(link);
  link.append(image);
});
