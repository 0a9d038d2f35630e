# The front door; `make` alone lists the targets.

VARIABLES := PYTHON TORCH_INDEX LOCKED MODEL MODELS REVISION SERVER VARIANT ENGINE PORT ALLOCATOR TOKENS SHARE TLS CORS PAGE METRICS_PORT OTLP VERSION CANARY \
	AUDIO CALIBRATION URL CLIPS RATE DURATION SHAPE SLO OUT DATA SPLIT SPLIT_FILE IN \
	HEAD VOICES STRANGERS FPIR GALLERY ALL ARGS

# What callers give is text: neither make nor a shell may run what stands in it. $(value …) takes it as it was written,
# the environment hands it on, and bundle/variables.py checks it and makes options of it: recipes name variables and
# hold no value. Defaults are the commands' own.
TYPED := $(foreach name,$(VARIABLES),$(if $(filter command,$(firstword $(origin $(name)))),$(name)))
$(foreach name,$(VARIABLES),$(eval override $(name) := $$(value $(name))))
export VARIABLES TYPED $(VARIABLES) MAKEFILE_LIST
GIVEN := $(strip $(foreach name,$(.VARIABLES),$(if $(filter command,$(firstword $(origin $(name)))),$(name))))
ifneq ($(GIVEN),)
$(error no variable $(firstword $(GIVEN)) is known: write NAME=value with one of $(VARIABLES))
endif

# Recipes run in this file's folder wherever make was called from. Its name may hold spaces, so no $(dir …) here.
ROOT := root=$$(dirname -- "$${MAKEFILE_LIST\# }")
HERE := $(ROOT) && cd -- "$$root"
SETUP := $(HERE) && python="$${PYTHON:-python3}" && "$$python" bundle/variables.py && \
	"$$python" bundle/bootstrap.py --torch-index "$$TORCH_INDEX" $${LOCKED:+--locked}
TRITON := $(HERE) && if [ "$$SERVER" = triton ]; then PYTHONPATH=handler .venv/bin/python -m serving.triton.setup; fi
RUN := $(HERE) && PYTHONPATH=handler exec .venv/bin/python bundle/variables.py
LOAD := URL MODEL REVISION MODELS SERVER CLIPS SLO OUT

ifneq ($(filter identify,$(MAKECMDGOALS)),)
ifeq ($(strip $(AUDIO)),)
$(error AUDIO is missing: say which clips, as in make identify AUDIO="clip.wav folder/")
endif
endif

ifneq ($(filter batch,$(MAKECMDGOALS)),)
ifeq ($(and $(strip $(IN)),$(strip $(OUT))),)
$(error IN or OUT is missing: say which clips, and where their answers go, as in make batch IN=recordings OUT=answers.jsonl)
endif
endif

ifneq ($(filter rollout,$(MAKECMDGOALS)),)
ifeq ($(strip $(VERSION)),)
$(error VERSION is missing: say which version the model gets, as in make rollout MODEL=demo VERSION=3.0)
endif
endif

.SILENT:
.DEFAULT_GOAL := help
.PHONY: help docs demo serve rollout stop identify batch archive test check setup bench loadtest capacity capacity-check overload evaluate robustness verify-published compare autoscale chaos fuzz fuzz-api audit lock demo-model full-size s3prl clean setup-dev image image-check kserve-fields dashboard record promtool enrol guard

##@ Use

demo: setup ## identify the sample clips with the small demo model, through a real server: SERVER=
	$(RUN) -m serving.demo SERVER

serve: setup ## serve in the foreground: MODEL=demo or MODELS="demo other:2.0", REVISION= of a hub model, GALLERY= of enrolled voices, SERVER=torchserve, PORT=8080, TOKENS= file, SHARE="requests=5 audio=30" an address, TLS= folder, CORS= origins, PAGE=off, METRICS_PORT=, OTLP=host:port, ALLOCATOR=jemalloc
	$(RUN) -m serving.serve MODEL MODELS REVISION GALLERY SERVER VARIANT ENGINE PORT ALLOCATOR TOKENS SHARE TLS CORS PAGE METRICS_PORT OTLP ARGS

identify: setup ## ask a server who speaks: AUDIO="clip.wav folder/", MODEL=, PORT= or URL= where several run, ARGS="--top-k 3"
	# clips are named from the caller's folder
	$(ROOT) && PYTHONPATH="$$root" exec "$$root/.venv/bin/python" "$$root/bundle/variables.py" -m serving.identify --run="$$root/build/run" URL MODEL PORT -- ARGS AUDIO

batch: setup ## identify an archive of recordings, and go on where an earlier run stopped: IN=folder or list.csv, OUT=answers.jsonl, MODEL=, PORT= or URL=
	$(ROOT) && PYTHONPATH="$$root" exec "$$root/.venv/bin/python" "$$root/bundle/variables.py" -m serving.batch --run="$$root/build/run" URL MODEL PORT -- IN OUT ARGS

stop: ## stop the servers that make serve started, and remove what a killed one left: PORT= for one of them
	$(ROOT) && if [ -x "$$root/.venv/bin/python" ]; then $(RUN) -m serving.stop PORT; else echo "nothing is running"; fi

setup: ## install the pinned packages into .venv: PYTHON=python3, TORCH_INDEX= for another build of torch, LOCKED=1 to check hashes, SERVER=triton for Triton too
	$(SETUP)
	$(TRITON)

setup-dev:
	$(SETUP) --dev
	$(TRITON)

##@ Operate

archive: setup ## build model_store/NAME.mar: MODEL=, REVISION= of a hub model, GALLERY= of enrolled voices, CALIBRATION= clips for bf16, SERVER=triton for model_store/triton/NAME too
	$(RUN) -m serving.archive MODEL REVISION GALLERY SERVER CALIBRATION ARGS

rollout: setup ## replace the version that a running server serves: MODEL=, VERSION=3.0, GALLERY= of other voices, CANARY=10 percent first, DATA= labelled clips, ARGS="--abort"
	$(RUN) -m serving.rollout MODEL VERSION GALLERY CANARY PORT DATA ARGS

enrol: setup ## build a gallery of your own voices: VOICES=folder of a folder a voice, STRANGERS=folder of others, FPIR=1% of their clips may get a name, MODEL=, OUT=
	$(RUN) -m bundle.enrolment MODEL VOICES STRANGERS FPIR OUT ARGS

guard: setup ## calibrate "unknown" of a head's own labels: VOICES=folder of a folder a label, STRANGERS=folder of others, HEAD= of a model of several, FPIR=1%, MODEL=, OUT=
	$(RUN) -m bundle.enrolment.guard MODEL HEAD VOICES STRANGERS FPIR OUT ARGS

audit: setup ## list every package that serves (reports/sbom.cdx.json, CycloneDX) and its known vulnerabilities; exit 3 where the database is not reachable
	$(HERE) && .venv/bin/python -m venv build/audit && build/audit/bin/pip install -q -r deploy/audit/requirements.txt
	$(RUN) -m bundle.audit --tools build/audit/bin

image: setup ## build the image with the container engine that is there: MODEL=, GALLERY= below models/, VARIANT=cuda, SERVER=triton, ENGINE=docker, podman or buildah, ARGS="--tag REG/speaker-id:1.0-cpu"
	$(RUN) -m deploy.docker MODEL REVISION GALLERY VARIANT SERVER ENGINE TORCH_INDEX ARGS

image-check: setup-dev ## build it, start it as each platform does, ask, scrape, stop, push and pull it: MODEL=, VARIANT=, ENGINE=, ARGS="--once --keep"
	$(RUN) -m deploy.docker.check MODEL REVISION VARIANT ENGINE TORCH_INDEX ARGS

clean: ## remove what was built, except .venv and the archives of a roll-back: ALL=1 for those too
	$(ROOT) && if [ -x "$$root/.venv/bin/python" ]; then $(RUN) -m serving.clean ALL; fi
	$(HERE) && rm -rf build reports .pytest_cache .mypy_cache .ruff_cache .hypothesis
	$(HERE) && find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +

##@ Measure

EVALUATE := -m measure.evaluation MODEL SERVER URL SPLIT OUT DATA SPLIT_FILE

evaluate: setup-dev ## count how often a model is right: DATA=VoxCeleb1 or a folder or CSV, SPLIT=3, SPLIT_FILE=, URL=, MODEL=, ARGS="--local"
	$(RUN) $(EVALUATE) ARGS

robustness: setup-dev ## the same after codecs, noise, gain and cutting, as table and plot: ARGS="--limit 1000"
	$(RUN) $(EVALUATE) --robustness ARGS

verify-published: setup-dev ## check the published checkpoint's known answers on four clips of the hub; skipped where it is not reachable
	$(RUN) -m measure.evaluation.published ARGS

loadtest: setup-dev ## load a server and report to OUT=reports; fails where SLO= is not met: RATE=5 DURATION=30s SHAPE=poisson SLO="p99=2s", URL= of a running one, CLIPS=
	$(RUN) -m measure.loadtest run $(LOAD) RATE DURATION SHAPE ARGS

capacity: setup-dev ## find the highest rate that meets SLO="p99=2s", and the curve of latency against rate: MODEL=, or URL= of a running server
	$(RUN) -m measure.loadtest capacity $(LOAD) ARGS

capacity-check: setup-dev ## find it with k6 too: both must agree within 10 %
	$(RUN) -m measure.loadtest check $(LOAD) ARGS

overload: setup-dev ## offer up to three times the capacity: how much is still answered, and what happens to the rest
	$(RUN) -m measure.loadtest overload $(LOAD) ARGS

bench: setup-dev ## measure the encoders against other ways to run the model, on a quiet machine: ARGS="--only hf-one"
	$(RUN) -m measure.bench.encoder ARGS
	$(RUN) -m measure.bench.report
	$(RUN) -m measure.bench.conclusions
	$(RUN) -m measure.bench.cpu_profile

compare: setup-dev ## measure this server against others, on a quiet machine: SERVER=triton for the two model servers and Triton's peers alone, ARGS="--minutes 30 --only ours-fp32,fastapi-pipeline"
	$(RUN) -m measure.compare SERVER ARGS
	$(RUN) -m measure.compare.overhead
	$(RUN) -m measure.compare.cost
	$(RUN) -m measure.compare.report
	$(RUN) -m measure.compare.model_servers

autoscale: setup-dev ## simulate a day of autoscaling from the measured behaviour of one replica, on a quiet machine: SERVER=triton of Triton's, ARGS=--no-measure
	$(RUN) -m measure.autoscale SERVER ARGS

chaos: setup-dev ## kill, hang, starve, fuzz and load a real server, and count what callers see; fails where anything is lost or wrong: SERVER=, OUT=reports, ARGS="--minutes 4"
	$(RUN) -m measure.chaos SERVER OUT ARGS

fuzz: setup-dev ## search for bodies that break the inspectors or the decoders, for ten minutes: ARGS="--minutes 1", then ARGS=--keep
	$(HERE) && .venv/bin/python -m pip install -q --upgrade --target build/fuzz -r tests/fuzz/requirements.txt
	$(HERE) && PYTHONPATH=handler:build/fuzz exec .venv/bin/python bundle/variables.py -m tests.fuzz.audio ARGS

fuzz-api: setup-dev ## send 2,000 requests that are made from /openapi.json; fails where an answer is not described: URL=, ARGS="--cases 10000 --coverage"
	$(RUN) -m tests.fuzz.api URL MODEL ARGS

record: setup-dev ## record a run for the dashboard's picture: a server under load for two and a half minutes, SERVER=
	$(RUN) -m measure.dashboard.record SERVER

dashboard: setup-dev ## write Grafana's dashboard and its picture from measure/dashboard/panels.py and the recorded run (Python 3.11 or newer)
	$(RUN) -m measure.dashboard.dashboard
	$(RUN) -m measure.dashboard.picture

##@ Develop

test: setup-dev ## run the whole test suite: ARGS="-k gateway" for a part of it, SERVER=triton for Triton too where any server is right
	# a worker has whole files, whose servers its tests share, in the order of tests/conftest.py
	# threads that spin while they wait would take the cores of other workers
	# hundreds of processes import torch: where Python keeps no bytecode, each compiles it again
	export OMP_WAIT_POLICY=PASSIVE PYTHONDONTWRITEBYTECODE=; $(RUN) -m pytest -n auto --maxprocesses 5 --dist loadfile --no-loadscope-reorder SERVER ARGS

check: setup-dev ## lint, format and types
	$(RUN) -m ruff check
	$(RUN) -m ruff format --check
	$(RUN) -m mypy

docs: setup-dev ## write the tables and figures that README.md and docs/ quote from code and results: ARGS=--check
	$(RUN) -m measure.pages ARGS

# torch is locked as PyPI has it, the CUDA build
lock: setup ## write requirements-lock.txt: the hash of every file of every package that serves
	$(HERE) && .venv/bin/python -m venv build/lock && build/lock/bin/pip install -q -r deploy/lock/requirements.txt
	$(HERE) && .venv/bin/python -c "from bundle import bootstrap; print(*bootstrap.JAVA_WHEELS, sep='\n')" | \
		build/lock/bin/uv pip compile -q requirements.txt - -c constraints.txt --universal --python-version 3.10 --upgrade \
		--generate-hashes --no-annotate --no-emit-index-url --custom-compile-command "make lock" -o requirements-lock.txt

promtool: ## fetch promtool from Debian's package without installing it, for the tests of the rules: build/promtool
	$(HERE) && mkdir -p build/promtool && cd build/promtool && apt-get -q download prometheus && dpkg-deb -x prometheus_*.deb .

kserve-fields: setup ## write KServe's fields, which deploy/kserve is checked against, from its package (450 MB, in build/kserve)
	$(HERE) && .venv/bin/python -m venv build/kserve && build/kserve/bin/pip install -q -r deploy/kserve/requirements.txt
	$(HERE) && build/kserve/bin/python deploy/kserve/fields.py > build/kserve-fields.json && mv build/kserve-fields.json tests/unit/deploy/kserve-fields.json

# s3prl needs a torchaudio whose compiled part breaks beside a CPU build of torch; s3prl itself needs none of that part
s3prl: setup ## build the environment of the independent reference, for tests that are skipped without it: build/s3prl
	$(HERE) && .venv/bin/python -m venv build/s3prl
	$(HERE) && build/s3prl/bin/python -m pip install -q $${TORCH_INDEX:+--index-url "$$TORCH_INDEX"} torch==2.13.0
	$(HERE) && build/s3prl/bin/python -m pip install -q -r tests/parity/requirements-s3prl.txt
	$(HERE) && rm -f build/s3prl/lib/python*/site-packages/torchaudio/lib/*.so

full-size: setup ## widen the demo model to wav2vec2-base's size, for benchmarks: build/full-size
	$(RUN) -m training.widen build/full-size

demo-model: setup-dev ## train the demo model from Debian's recordings, two hours on two cores: ARGS="--debs folder"
	# shared cores: threads that spin while they wait make training several times slower
	export OMP_WAIT_POLICY=PASSIVE; $(RUN) -m training ARGS

help: ## list the targets
	awk -F ':.*## ' ' \
		/^##@ / {printf "%s%s\n", group++ ? "\n" : "", substr($$0, 5)} \
		/^[a-z0-9-]+:.*## / { \
			line = sprintf("  make %-17s", $$1); words = split($$2, word, " "); \
			for (i = 1; i <= words; i++) { \
				if (length(line) + length(word[i]) > 97) {print line; line = sprintf("%24s", "")} \
				line = line " " word[i]; \
			} print line}' "$${MAKEFILE_LIST# }"
