# Two commands for everybody: "make demo" and "make test". They need Python 3.11 or later, make and the
# package index; everything goes into .venv. The others are for who works on skypetrunk.

PYTHON ?= python3
TESTS ?= tests
TRIAL ?=
DEMO ?=
FUZZ ?=

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check
SOURCES := $(sort $(wildcard README.rst LICENSE native/*) setup.cfg setup.py pyproject.toml \
  $(shell find skypetrunk twisted -type f \( -name '*.py' -o -name '*.toml' -o -name '*.pem' -o -name py.typed \)))
EXAMPLES := $(patsubst %/setup.cfg,%,$(wildcard examples/*/setup.cfg))
WHEEL = $$(echo $(VENV)/dist/skypetrunk-*.whl)

# Trial runs where nothing but the tests can be imported by accident: the product is the installed wheel.
RUN_TRIAL = rm -rf $(VENV)/trial && mkdir $(VENV)/trial && ln -s ../../tests $(VENV)/trial/tests && cd $(VENV)/trial \
  && env -u PYTHONPATH PYTHONSAFEPATH= ../bin/python -m twisted.trial $(TRIAL)

.PHONY: help demo test examples $(EXAMPLES) interop fuzz sanitize bench lint clean FORCE

help:
	@echo "make demo     a call out and a call in over TLS and SRTP on this machine, with evidence"
	@echo "make test     the tests, on the installed wheel; no peers, no root"
	@echo "make examples the tests of the plugins in examples/, each in an environment of its own"
	@echo "make interop  the tests with real peers (kamailio, baresip, sipp ...), which must be installed"
	@echo "make fuzz     every parser under a coverage-guided fuzzer, for less than a minute"
	@echo "make sanitize the compiled helper under gcc's sanitizers, for five seconds"
	@echo "make bench    figures for speed and memory"
	@echo "make lint     ruff, and mypy in its strict mode"
	@echo "make clean    remove what the others made"

demo: $(VENV)/installed
	@$(BIN)/skypetrunk demo $(DEMO)

test: $(VENV)/installed $(VENV)/extra-test
	@$(RUN_TRIAL) $(TESTS)

examples: $(EXAMPLES)

$(EXAMPLES): $(VENV)/installed
	@sh examples/run $@ "$(WHEEL)"

interop: $(VENV)/installed $(VENV)/extra-test
	@export SKYPETRUNK_INTEROP=1; $(RUN_TRIAL) tests.interop

fuzz: $(VENV)/installed $(VENV)/extra-fuzz
	@mkdir -p $(VENV)/trial && ln -sfn ../../tests $(VENV)/trial/tests && cd $(VENV)/trial \
	&& env -u PYTHONPATH PYTHONSAFEPATH= ../bin/python -m tests.fuzz.run $(FUZZ)

sanitize:
	@mkdir -p $(VENV)
	@$(CC) -std=gnu11 -Wall -Wextra -Wconversion -Werror -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all \
	  -o $(VENV)/sanitized native/fuzz.c native/settled.c && $(VENV)/sanitized $(or $(FUZZ),5)

bench: $(VENV)/installed
	@$(MAKE) --silent $(VENV)/extra-bench || echo "Some programs to compare with cannot be installed here." >&2
	@$(BIN)/python bench/run.py

lint: $(VENV)/installed $(VENV)/extra-dev
	$(BIN)/ruff check .
	$(BIN)/mypy skypetrunk tests

clean:
	rm -rf $(VENV) build skypetrunk.egg-info

$(VENV)/created:
	@command -v $(PYTHON) >/dev/null || { echo "skypetrunk needs Python 3.11 or later; there is no $(PYTHON). \
	Say which to use: make PYTHON=/path/to/python3 $(MAKECMDGOALS)" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "skypetrunk needs Python 3.11 or \
	later; $(PYTHON) is $$($(PYTHON) --version 2>&1). Say which to use: make PYTHON=python3.11 $(MAKECMDGOALS)" >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo "$(PYTHON) cannot make virtual environments; on \
	Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	@echo "Making $(VENV) ..."
	@$(PYTHON) -m venv --clear $(VENV)
	@echo "$(CURDIR)" > $@

# A virtual environment that was moved is of no use: its programs name the old place.
ifneq ($(shell cat $(VENV)/created 2>/dev/null),$(CURDIR))
.PHONY: $(VENV)/created
endif

# Changes when a file comes or goes, which no file's time would show.
$(VENV)/sources: FORCE | $(VENV)/created
	@echo "$(SOURCES)" | cmp -s - $@ || echo "$(SOURCES)" > $@

$(VENV)/wheel: $(VENV)/sources $(SOURCES)
	@echo "Building the wheel ..."
	@rm -rf build skypetrunk.egg-info $(VENV)/dist
	@$(PIP) wheel --no-deps --wheel-dir $(VENV)/dist .
	@rm -rf build skypetrunk.egg-info
	@touch $@

# First the wheel itself, whose version may be the old one; then what it needs. twistd --help writes the plug-in cache.
$(VENV)/installed: $(VENV)/wheel
	@echo "Installing it ..."
	@$(PIP) install --force-reinstall --no-deps "$(WHEEL)"
	@$(PIP) install "$(WHEEL)"
	@$(BIN)/twistd --help >/dev/null
	@touch $@

$(VENV)/extra-%: setup.cfg | $(VENV)/installed
	@$(PIP) install "$(WHEEL)[$*]"
	@touch $@
