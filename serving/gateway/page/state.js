"use strict"; // of all that follows: assembly.py joins these files into one script
// Labels, messages and file names are anybody's: they become text, never markup.

const $ = (id) => document.getElementById(id);

const WAVE_BARS = 120;
const LARGEST_PLAYED = 64 << 20; // bytes; decoding in the browser takes ten times the memory

let token = ""; // in this variable and nowhere else
let about = {models: []};
let model = null;
let clip = null; // what is being asked, or was last
let sending = null; // the XMLHttpRequest under way
let address = ""; // of the clip, for the player
let peaks = [];
let length = 0; // seconds of the clip, as decoded here
let recording = null;

const text = (node, words) => { node.textContent = words; return node; };
const show = (node, shown = true) => { node.hidden = !shown; };
const make = (tag, words = "", name = "") => {
  const node = text(document.createElement(tag), words);
  if (name) node.className = name;
  return node;
};
const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(name);
const still = () => matchMedia("(prefers-reduced-motion: reduce)").matches;
const bearer = () => (token ? {authorization: `Bearer ${token}`} : {});
