// Behaviour of the components on this page. Everything works without it.
import { initAll } from "./govuk.js";
initAll();
