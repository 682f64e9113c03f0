//! The page itself: everything in one text, without resources of others.

/// The page, and the policy that lets nothing but its own script and style work.
pub fn page() -> (String, String) {
    let policy = "default-src 'none'; script-src 'sha256-SCRIPT'; style-src 'sha256-STYLE'; connect-src 'self'; \
                  base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
    let text = PAGE.replace("/*STYLE*/", STYLE).replace("/*SCRIPT*/", SCRIPT);
    (text, policy.replace("SCRIPT", &hash(SCRIPT)).replace("STYLE", &hash(STYLE)))
}

const PAGE: &str = r##"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>timelab: running jobs</title>
<link rel="icon" href="data:,">
<style>/*STYLE*/</style>
</head>
<body>
<a class="skip" href="#main">Skip to the runs</a>
<header>
<h1>timelab</h1>
<p id="status" role="status" aria-live="polite">connecting</p>
<button id="pause" type="button" aria-pressed="false">Pause</button>
<label for="run">Run <select id="run"><option value="">the newest</option></select></label>
</header>
<main id="main" tabindex="-1">
<section aria-labelledby="h-now"><h2 id="h-now">Now</h2><dl id="now"></dl></section>
<section aria-labelledby="h-stages"><h2 id="h-stages">Stages</h2>
<table><caption class="hidden">Stages of the run with their tasks</caption><thead><tr><th scope="col">stage</th>
<th scope="col">tasks done</th><th scope="col">of</th><th scope="col">failed</th><th scope="col">time of tasks</th></tr>
</thead><tbody id="stages"></tbody></table></section>
<section aria-labelledby="h-tasks"><h2 id="h-tasks">Tasks on workers</h2><p id="tasks-said"></p>
<div id="tasks" role="img" aria-labelledby="tasks-said"></div></section>
<section aria-labelledby="h-keys"><h2 id="h-keys">Top keys</h2>
<table><caption class="hidden">Keys with the most records</caption><thead><tr><th scope="col">key</th>
<th scope="col">records</th><th scope="col">share</th><th scope="col">partition</th><th scope="col">hot</th></tr>
</thead><tbody id="keys"></tbody></table></section>
<section aria-labelledby="h-log"><h2 id="h-log">Log</h2><pre id="log" tabindex="0" aria-label="lines of log"></pre>
</section>
<section aria-labelledby="h-runs"><h2 id="h-runs">All runs</h2>
<table><caption class="hidden">The last runs</caption><thead><tr><th scope="col">run</th><th scope="col">state</th>
<th scope="col">engine</th><th scope="col">elapsed</th><th scope="col">rows</th></tr></thead><tbody id="runs"></tbody>
</table></section>
</main>
<script>/*SCRIPT*/</script>
</body>
</html>
"##;

const STYLE: &str = r##"
:root{color-scheme:light dark;--line:#8886;--accent:#2563eb;--bad:#b91c1c}
@media (prefers-color-scheme:dark){:root{--accent:#7aa2ff;--bad:#ff8080}}
body{font:16px/1.5 system-ui,sans-serif;margin:0 auto;max-width:72rem;padding:1rem}
header{display:flex;flex-wrap:wrap;gap:1rem;align-items:center}
h1{font-size:1.3rem;margin:0}h2{font-size:1.05rem;margin:1.2rem 0 .3rem}
table{border-collapse:collapse;width:100%}th,td{border-bottom:1px solid var(--line);padding:.2rem .5rem;text-align:left}
td.n{text-align:right;font-variant-numeric:tabular-nums}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.1rem 1rem;margin:0}dt{font-weight:600}dd{margin:0}
pre{max-height:14rem;overflow:auto;border:1px solid var(--line);padding:.5rem;margin:0;white-space:pre-wrap}
button,select{font:inherit;padding:.2rem .6rem}
:focus-visible{outline:3px solid var(--accent);outline-offset:2px}
svg{width:100%;height:auto;display:block}
.skip{position:absolute;left:-99rem}.skip:focus{left:1rem;top:.5rem}
.hidden{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
.t{fill:var(--accent)}.f{fill:var(--bad)}.w{font-size:11px;fill:currentColor}
"##;

const SCRIPT: &str = r##"
"use strict";
const by=id=>document.getElementById(id),token=new URLSearchParams(location.search).get("token");
let paused=false,last=null,before=null,said="";
const si=(x,u)=>{const p=["","k","M","G","T"];let i=0;while(x>=1000&&i<4){x/=1000;i++}
return(x<10&&i?x.toFixed(1):Math.round(x))+" "+p[i]+u};
const mib=x=>x>=1<<30?(x/(1<<30)).toFixed(2)+" GiB":(x/(1<<20)).toFixed(1)+" MiB";
const sec=x=>x<1?Math.round(x*1000)+" ms":x.toFixed(1)+" s";
const fill=(body,rows)=>{body.replaceChildren(...rows.map(cells=>{const tr=document.createElement("tr");
cells.forEach((cell,i)=>{const td=document.createElement(i?"td":"th");if(!i)td.scope="row";
if(typeof cell==="number"||/^[0-9]/.test(cell))td.className="n";td.textContent=cell;tr.append(td)});return tr}))};
const chosen=s=>{const want=by("run").value;const all=s.runs;
return all.find(r=>String(r.number)===want)||[...all].reverse().find(r=>r.state==="running")||all[all.length-1]};
function pick(s){const select=by("run"),have=[...select.options].map(o=>o.value).join(),
want=["",...s.runs.map(r=>String(r.number))].join();if(have===want)return;const value=select.value;
select.replaceChildren(new Option("the newest",""),...s.runs.map(r=>new Option(r.number+": "+r.name,r.number)));
select.value=s.runs.some(r=>String(r.number)===value)?value:""}
function draw(s){pick(s);const r=chosen(s);
fill(by("runs"),[...s.runs].reverse().map(r=>[r.number+": "+r.name,r.state,r.engine,sec(r.elapsed),r.rows]));
if(!r){tell("no run yet");return}
const old=before&&before.runs.find(o=>o.number===r.number),dt=old?r.elapsed-old.elapsed:0;
const rate=dt>0.05?(r.rows-old.rows)/dt:r.rows/Math.max(r.elapsed,1e-9);
const speed=dt>0.05?(r.bytes-old.bytes)/dt:r.bytes/Math.max(r.elapsed,1e-9);
const facts=[["Run",r.number+": "+r.name],["State",r.state+" on "+r.engine],["Elapsed",sec(r.elapsed)],
["Rows read",si(r.rows,"rows")],["Throughput",si(rate,"rows/s")+(r.bytes?", "+si(speed,"B/s"):"")]];
if(r.all_bytes)facts.push(["Read",mib(r.bytes)+" of "+mib(r.all_bytes)+" ("+Math.round(100*r.bytes/r.all_bytes)+" %)"]);
const share=r.budget?" of "+mib(r.budget)+" ("+Math.round(100*s.live/r.budget)+" %)":"";
facts.push(["Memory",mib(s.live)+" live"+share]);
facts.push(["Spilled",r.spilled?mib(r.spilled)+" in "+r.passes+" passes":"nothing"]);
by("now").replaceChildren(...facts.flatMap(([k,v])=>{const dt=document.createElement("dt"),
dd=document.createElement("dd");dt.textContent=k;dd.textContent=v;return[dt,dd]}));
fill(by("stages"),r.stages.map(t=>[t.name,t.done,t.tasks===null?"?":t.tasks,t.failed,sec(t.seconds)]));
fill(by("keys"),r.keys.map(k=>[k.key,k.records,(100*k.share).toFixed(1)+" %",k.partition,k.hot?"hot":"no"]));
const log=by("log"),text=r.log.join("\n")||"no lines";if(log.textContent!==text)log.textContent=text;
stream(r);tell(r.number+": "+r.state+" on "+r.engine)}
function tell(text){if(text!==said){said=text;by("status").textContent=text}}
function stream(r){const workers=[...new Set(r.tasks.map(t=>t.worker))].sort((a,b)=>a-b),box=by("tasks");
const running=r.tasks.filter(t=>t.end===null).length,failed=r.tasks.filter(t=>t.failed).length;
by("tasks-said").textContent=r.tasks.length?"the last "+r.tasks.length+" tasks on "+workers.length+" workers: "+running+
" running, "+failed+" failed":"this run has no tasks: one thread does it";
if(!r.tasks.length){box.replaceChildren();return}
const ns="http://www.w3.org/2000/svg",svg=document.createElementNS(ns,"svg"),left=Math.min(...r.tasks.map(t=>t.start)),
right=Math.max(r.elapsed,...r.tasks.map(t=>t.end||0)),wide=Math.max(right-left,1e-9),high=18*workers.length+16;
svg.setAttribute("viewBox","0 0 1000 "+high);svg.setAttribute("aria-hidden","true");
const add=(name,attributes,text)=>{const e=document.createElementNS(ns,name);
for(const k in attributes)e.setAttribute(k,attributes[k]);if(text!==undefined)e.textContent=text;svg.append(e)};
workers.forEach((w,i)=>add("text",{class:"w",x:0,y:18*i+12},"worker "+w));
r.tasks.forEach(t=>{const x=70+930*(t.start-left)/wide,end=t.end===null?right:t.end;
add("rect",{class:t.failed?"f":"t",x,y:18*workers.indexOf(t.worker)+1,width:Math.max(930*(end-t.start)/wide-0.5,0.7),
height:14,opacity:t.end===null?0.5:1})});
add("text",{class:"w",x:70,y:high-3},sec(left));add("text",{class:"w",x:1000,y:high-3,"text-anchor":"end"},sec(right));
box.replaceChildren(svg)}
async function look(){if(!paused&&!document.hidden){try{
const answer=await fetch("/state?token="+token,{cache:"no-store"});if(!answer.ok)throw 0;
before=last;last=await answer.json();draw(last)}catch{tell("the shell has ended, or its page was stopped")}}
setTimeout(look,500)}
by("pause").addEventListener("click",()=>{paused=!paused;by("pause").setAttribute("aria-pressed",paused);
by("pause").textContent=paused?"Go on":"Pause"});
by("run").addEventListener("change",()=>last&&draw(last));
look();
"##;

/// The SHA-256 of a text in base 64, as browsers want it.
fn hash(text: &str) -> String {
    use sha2::{Digest, Sha256};
    let digest = Sha256::digest(text.as_bytes());
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for piece in digest.chunks(3) {
        let bits = piece.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - piece.len()));
        for place in 0..4 {
            let is_there = place <= piece.len();
            let letter = LETTERS[(bits >> (18 - 6 * place) & 63) as usize];
            out.push(if is_there { char::from(letter) } else { '=' });
        }
    }
    out
}
