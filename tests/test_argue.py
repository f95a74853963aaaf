"""ARGUE: its target, equalised batches, the gate, and both losses written plainly."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from conftest import make
from sklearn.base import clone
from sklearn.metrics import roc_auc_score

from libs.architecture.experts import expert_activations, expert_alarm, gate, multi_head_autoencoder
from libs.architecture.target import HiddenActivations, autoencoder
from libs.ARGUE import ARGUE
from libs.detectors.detector import Detector
from libs.detectors.network_detector import NetworkDetector
from libs.experiments.result_files import write_gate
from libs.experiments.stored_runs import gate_table
from libs.targets.multi_head_autoencoder import MultiHeadAutoencoder, balanced_orders
from libs.training.early_stopping import choose_held_out
from libs.utils.errors import UserError

_SCHEDULE = {"epochs": 40, "batch_size": 32, "learning_rate": 1e-3, "random_state": 3}


def three_classes(seed, sizes=(150, 100, 50), anomalies=60):
    """Rows of three normal classes, each high in 6 features of its own; anomalies in the last 2."""
    rng = np.random.default_rng(seed)
    classes = np.repeat(["b", "a", "c", "odd"], [*sizes, anomalies])
    x = rng.normal(0.4, 0.05, (len(classes), 20)).astype(np.float32)
    for i, name in enumerate("abc"):
        x[classes == name, 6 * i : 6 * i + 6] += 0.4
    x[classes == "odd"] += 0.2 * (np.arange(20) >= 18).astype(np.float32)
    return x, (classes == "odd").astype(int), classes


def small_target(**more):
    return MultiHeadAutoencoder(**({"dims": (16, 8)} | _SCHEDULE | more))


def small_argue(**more):
    return ARGUE(**({"target": small_target(), "alarm_dims": (60, 30)} | _SCHEDULE | more))


@pytest.fixture(scope="module")
def rows():
    return three_classes(1)


@pytest.fixture(scope="module")
def target(rows):
    return small_target().fit(*rows)


@pytest.fixture(scope="module")
def fitted(target, rows):
    return small_argue(target=target, budgets=(5, 60)).fit(*rows)


# --- networks ------------------------------------------------------------------------------------
def test_dense_widths():
    """CovType: 590 activations, the code's ReLU not among them."""
    dims = (90, 75, 60, 45, 25, 15)
    assert HiddenActivations(autoencoder("argue_dense", (54,), dims, 0.1)).width == 590
    encoder, decoders = multi_head_autoencoder("dense", (54,), dims, 0.1, experts=4)
    assert [tuple(o.shape) for o in encoder.outputs] == [(None, 15), (None, 295)]
    assert [tuple(o.shape) for o in decoders.outputs] == [(None, 4, 54), (None, 4, 295)]


@pytest.mark.parametrize("experts", [1, 3])
def test_conv_widths_and_parameters(experts):
    """Alarm input 3,656 + 3,776 = 7,432; 1,904 and 2,481 parameters."""
    assert HiddenActivations(autoencoder("argue_conv", (28, 28, 1), (16, 8, 8), 0.1)).width == 7432
    encoder, decoders = multi_head_autoencoder("conv", (28, 28, 1), (16, 8, 8), 0.1, experts)
    assert encoder.output_shape[1] == (None, 3656)
    assert decoders.output_shape == [(None, experts, 28, 28, 1), (None, experts, 3776)]
    assert encoder.count_params() == 1904
    assert decoders.count_params() == experts * 2481


def test_images_of_another_size_are_a_clear_error():
    x = np.zeros((4, 8, 8, 1), np.float32)
    with pytest.raises(UserError, match="28, 28"):
        MultiHeadAutoencoder("conv", (16, 8, 8), epochs=1).fit(x, classes=["a"] * 4)
    with pytest.raises(UserError, match="dense, conv"):
        MultiHeadAutoencoder("round", epochs=1).fit(x, classes=["a"] * 4)


@pytest.mark.parametrize("network", ["dense", "conv"])
def test_activations_are_those_of_each_decoder_by_itself(network):
    """Stand-alone ReLUs in order, for each expert's decoder on the code of the row."""
    shape, dims = {"dense": ((6,), (9, 8, 7)), "conv": ((28, 28, 1), (4, 3, 2))}[network]
    encoder, decoders = multi_head_autoencoder(network, shape, dims, 0.5, experts=2)
    x = np.random.default_rng(0).random((3, *shape)).astype(np.float32)
    shared, own = (np.asarray(v) for v in expert_activations(encoder, decoders, x))

    def relus(model):
        return [la.output for la in model.layers if isinstance(la, keras.layers.ReLU)]

    plain = keras.Model(encoder.inputs, [encoder.outputs[0], *relus(encoder)])
    code, *hidden = plain(x, training=False)
    hidden = np.concatenate([np.asarray(h).reshape(3, -1) for h in hidden], axis=1)
    np.testing.assert_allclose(shared, hidden, rtol=1e-5, atol=1e-6)
    assert own.shape[1] == 2
    for i in range(2):
        own_relus = [r for r in relus(decoders) if _source(r) is decoders.inputs[i]]
        plain = keras.Model(decoders.inputs[i], own_relus)
        hidden = [np.asarray(h).reshape(3, -1) for h in plain(code, training=False)]
        np.testing.assert_allclose(own[:, i], np.concatenate(hidden, axis=1), rtol=1e-5, atol=1e-6)
    assert not np.allclose(own[:, 0], own[:, 1])


def _source(tensor):
    """The model input that a decoder's tensor is computed from."""
    while not isinstance(tensor._keras_history.operation, keras.layers.InputLayer):
        tensor = tensor._keras_history.operation.input
    return tensor


def test_split_kernel_is_one_kernel_and_copies_start_alike():
    """The alarm equals a plain network on joined activations; so does every copy of it."""
    rng = np.random.default_rng(0)
    shared, own = (rng.random(s).astype(np.float32) for s in ((5, 7), (5, 3, 4)))
    alarm = expert_alarm(7, (3, 4), (6, 5), 0.1, copies=2, seed=1)
    stack = [keras.layers.Dense(6, activation="relu"), keras.layers.Dense(5, activation="relu")]
    plain = keras.Sequential([keras.Input((11,)), *stack, keras.layers.Dense(1)])
    by_name = {w.path: w.numpy() for w in alarm.weights}
    kernel = np.concatenate([by_name["shared/kernel"], by_name["own/kernel"]])[:, :6]
    rest = [w.numpy()[0] for w in alarm.weights if "fused" in w.path]
    plain.set_weights([kernel, by_name["shared/bias"][:6], *rest])
    bound = np.sqrt(6 / (11 + 6))
    assert 0.8 * bound < np.abs(kernel).max() <= bound
    logits = np.asarray(alarm([shared, own]))
    assert logits.shape == (5, 3, 2)
    for i in range(3):
        expected = np.asarray(plain(np.concatenate([shared, own[:, i]], axis=1)))
        np.testing.assert_allclose(logits[:, i], np.repeat(expected, 2, axis=1), atol=1e-6)


def test_gate_copies_start_alike():
    x = np.random.default_rng(0).random((5, 7)).astype(np.float32)
    logits = np.asarray(gate(7, 4, (6, 5), 0.1, copies=2, seed=1)(x))
    assert logits.shape == (5, 2, 4)
    np.testing.assert_allclose(logits[:, 0], logits[:, 1], atol=1e-6)
    alone = np.asarray(gate(7, 4, (6, 5), 0.1, copies=1, seed=1)(x))
    np.testing.assert_allclose(logits[:, :1], alone, atol=1e-6)


# --- target --------------------------------------------------------------------------------------
def test_equalised_batches():
    """As many rows of each group in every batch; all rows once, smaller groups filled up."""
    groups = np.repeat([1, 0, 2], [50, 20, 33])
    order = balanced_orders(groups, batch_size=16, seed=1)
    rows = order(0)
    assert len(rows) == 3 * 50
    for begin in range(0, 150, 48):
        batch = groups[rows[begin : begin + 48]]
        np.testing.assert_array_equal(batch, np.repeat([0, 1, 2], len(batch) // 3))
    found, counts = np.unique(rows, return_counts=True)
    np.testing.assert_array_equal(found, np.arange(len(groups)))
    assert (counts[groups == 1] == 1).all()
    assert counts[groups == 0].sum() == counts[groups == 2].sum() == 50
    assert not np.array_equal(rows, order(1))
    np.testing.assert_array_equal(np.sort(rows), np.sort(order(1)))
    np.testing.assert_array_equal(rows, balanced_orders(groups, 16, seed=1)(0))
    assert not np.array_equal(np.sort(rows), np.sort(balanced_orders(groups, 16, seed=2)(0)))


def test_the_targets_first_loss_by_hand(rows):
    """Sum over experts of the mean cross-entropy of their own rows."""
    x, y, classes = rows
    settings = {"dropout": 0.0, "batch_size": 200}
    start = small_target(epochs=0, **settings).fit(x, y, classes)
    order = balanced_orders(start.groups(x[y == 0], classes[y == 0]), 200, 3)(0)
    expected = 0
    for i, chosen in enumerate(order.reshape(3, 150)):
        batch = x[y == 0][chosen]
        restored = 1 / (1 + np.exp(-np.asarray(start._logits(batch))[:, i]))
        entropy = batch * np.log(restored) + (1 - batch) * np.log(1 - restored)
        expected -= entropy.mean()
    found = small_target(**(settings | {"epochs": 1})).fit(x, y, classes).training_.losses
    np.testing.assert_allclose(found, [expected], rtol=1e-5)


@pytest.mark.slow
def test_experts_know_their_own_class(target, rows):
    """In alphabetical order; each reconstructs rows of its own class best."""
    x, y, classes = rows
    assert target.expert_names_ == ("a", "b", "c")
    np.testing.assert_array_equal(target.groups(x[:3], np.array(["c", "a", "b"])), [2, 0, 1])
    restored = 1 / (1 + np.exp(-np.asarray(target._logits(x[y == 0]))))
    error = np.square(restored - x[y == 0][:, None]).mean(axis=2)
    best = np.array(target.expert_names_)[error.argmin(axis=1)]
    assert (best == classes[y == 0]).mean() > 0.95
    np.testing.assert_allclose(target.decision_function(x[y == 0]), error.min(axis=1), rtol=1e-4)


def test_decoders_start_differently(rows):
    target = small_target(epochs=0).fit(*rows)
    logits = np.asarray(target._logits(rows[0][:5]))
    assert not np.allclose(logits[:, 0], logits[:, 1])


@pytest.mark.slow
def test_known_anomalies_are_no_normal_rows(target, rows):
    """Weak point 8: whatever the known anomalies are, the target is the same.

    So are its clusters, where it has some: see test_contract.
    """
    x, y, classes = rows
    other, renamed = x.copy(), np.where(y, "a", classes)
    other[y == 1] = np.random.default_rng(0).random((60, 20))
    again = small_target().fit(other, y, renamed)
    np.testing.assert_array_equal(target.decision_function(x), again.decision_function(x))


@pytest.mark.slow
def test_classes_are_checked(target, rows):
    x, y, classes = rows
    for detector in (small_target(epochs=1), small_argue(epochs=1)):
        with pytest.raises(UserError, match=r"fit\(x, y, classes\), or a clustering"):
            detector.fit(x, y)
        with pytest.raises(UserError, match="each of the 360 rows"):
            detector.fit(x, y, classes[:-1])
    with pytest.raises(UserError, match=r"one of a, b, c; found new"):
        small_argue(target=target).fit(x, y, np.where(classes == "a", "new", classes))
    with pytest.raises(UserError, match="no classes"):
        small_argue(target=target).fit(x, y)


@pytest.mark.slow
def test_methods_without_use_for_classes_ignore_them(rows):
    x, y, classes = rows
    plain = make("Autoencoder", epochs=1).fit(x, y).decision_function(x)
    np.testing.assert_array_equal(
        make("Autoencoder", epochs=1).fit(x, y, classes).decision_function(x), plain
    )


# --- ARGUE ---------------------------------------------------------------------------------------
def _plain_losses(argue, rows, noise, label, group):
    """§1.5 written plainly: Keras' own losses, each expert and each row set by itself."""
    experts = len(argue.expert_names_)

    def verdicts(x, i):
        code, shared = argue.encoder_(x, training=False)
        own = argue.decoders_([code] * experts, training=False)[1][:, i]
        width = shared.shape[1]
        weights = {w.path: w.numpy() for w in argue.alarm_.weights}
        h = np.concatenate([shared, own], axis=1) @ np.concatenate(
            [weights["shared/kernel"], weights["own/kernel"]]
        )
        assert weights["shared/kernel"].shape[0] == width
        h = np.maximum(h + weights["shared/bias"], 0)
        rest = [w.numpy() for w in argue.alarm_.weights if "fused" in w.path]
        for kernel, bias in zip(rest[::2], rest[1::2], strict=True):
            last = h @ kernel[0] + bias[0]
            h = np.maximum(last, 0)
        return 1 / (1 + np.exp(-last[:, 0]))

    def gates(x):
        shared = argue.encoder_(x, training=False)[1]
        return np.asarray(keras.ops.softmax(argue.gate_(shared, training=False)[:, 0]))

    def fused(x):
        g = gates(x)
        return sum(g[:, i] * verdicts(x, i) for i in range(experts)) + g[:, -1]

    entropy, categorical = keras.losses.binary_crossentropy, keras.losses.categorical_crossentropy
    one = np.ones((len(noise), 1), np.float32)
    alarm = entropy(label[:, None], fused(rows)[:, None]), entropy(one, fused(noise)[:, None])
    target, anomaly = np.eye(experts + 1)[group], np.eye(experts + 1)[[experts] * len(noise)]
    gate_loss = categorical(target, gates(rows)), categorical(anomaly, gates(noise))
    return tuple(sum(float(np.mean(part)) for part in loss) for loss in (alarm, gate_loss))


_FIRST, _OTHERS = slice(40), slice(40, None)


@pytest.mark.slow
def test_losses_of_blocks_equal_the_plain_computation(target, rows):
    """To 1e-5, before training and after it; those of blocks add up."""
    x, y, classes = rows
    for epochs in (0, 5):
        argue = small_argue(target=target, dropout=0.0, epochs=epochs).fit(x, y, classes)
        chosen = np.random.default_rng(0).permutation(len(x))[:64]
        group = np.searchsorted(["a", "b", "c"], classes[chosen])
        rank = np.where(y, np.arange(len(x)) - 300, -1)[chosen]
        seed = tf.constant([1, 2])
        noise = np.asarray(tf.random.stateless_normal((64, 20), seed, 0.5, 1.0))
        rank = tf.constant(rank, tf.int32)
        batch = x[chosen], noise, rank, tf.constant(group, tf.int32), argue._weights(rank)
        parts = [argue._losses(*(part[rows] for part in batch)) for rows in (_FIRST, _OTHERS)]
        found = np.sum(parts, axis=0)
        label = y[chosen].astype(np.float32)
        assert 0 < label.mean() < 1
        expected = _plain_losses(argue, x[chosen], noise, label, group)
        np.testing.assert_allclose([float(v) for v in found], expected, atol=1e-5)


@pytest.mark.slow
def test_each_loss_moves_its_own_network(target, rows):
    """The alarm's loss has no gradient at the gate, nor the gate's at the alarm; the MAE rests."""
    x, y, classes = rows
    argue = small_argue(target=target, epochs=0).fit(x, y, classes)
    rank = tf.constant(np.where(y, np.arange(len(x)) - 300, -1), tf.int32)
    group = tf.constant(np.searchsorted(["a", "b", "c", "odd"], classes), tf.int32)
    with tf.GradientTape(persistent=True) as tape:
        alarm, gate_loss = argue._losses(x, np.flip(x), rank, group, argue._weights(rank))
    networks = {name: getattr(argue, name).trainable_variables for name in argue.networks}
    for loss, own in ((alarm, "alarm_"), (gate_loss, "gate_")):
        for name in ("alarm_", "gate_"):
            gradients = tape.gradient(loss, [v.value for v in networks[name]])
            assert all((g is not None) == (name == own) for g in gradients)
    before = [v.numpy() for n in target.networks for v in getattr(target, n).trainable_variables]
    after_argue = small_argue(target=target, epochs=2).fit(x, y, classes)
    assert after_argue.encoder_ is target.encoder_
    after = [v.numpy() for n in target.networks for v in getattr(target, n).trainable_variables]
    for a, b in zip(before, after, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.slow
def test_blocks_change_nothing_but_roundings(target, rows, monkeypatch):
    """A batch at once, and in blocks of which the last is smaller."""
    from libs import ARGUE as module

    whole = small_argue(target=target, dropout=0.0, epochs=3, budgets=(5, 60)).fit(*rows)
    monkeypatch.setattr(module, "BLOCK", 13)
    blocks = clone(whole).fit(*rows)
    np.testing.assert_allclose(*(d.decision_matrix(rows[0]) for d in (whole, blocks)), atol=1e-4)


@pytest.mark.slow
def test_the_gate_learns_half_as_fast(target, rows, monkeypatch):
    rates = []
    from libs import ARGUE as module

    class Noted(module.Adam):
        def __init__(self, variables, learning_rate):
            rates.append(learning_rate)
            super().__init__(variables, learning_rate)

    monkeypatch.setattr(module, "Adam", Noted)
    small_argue(target=target, epochs=0).fit(*rows)
    assert rates == [1e-3, 5e-4]


@pytest.mark.slow
def test_score_is_the_gated_verdict(fitted, rows):
    """Σ g·a + g_anomaly, by hand from the networks' outputs."""
    x = rows[0]
    shared, own = expert_activations(fitted.encoder_, fitted.decoders_, x)
    verdicts = 1 / (1 + np.exp(-np.asarray(fitted.alarm_([shared, own]))))
    matrix = fitted.decision_matrix(x)
    for copy, budget in enumerate(fitted.budgets_):
        g = fitted.gate(x, budget)
        expected = (g[:, :-1] * verdicts[:, :, copy]).sum(axis=1) + g[:, -1]
        np.testing.assert_allclose(matrix[:, copy], expected, atol=1e-5)
    assert matrix.min() >= 0
    assert matrix.max() <= 1


@pytest.mark.slow
def test_finds_the_known_kind_and_noise(fitted):
    x, y, _ = three_classes(2, anomalies=300)
    assert roc_auc_score(y, fitted.decision_function(x)) > 0.95
    noise = np.random.default_rng(5).normal(0.5, 1, (200, 20)).astype(np.float32)
    scores = fitted.decision_function(np.concatenate([x[y == 0][:200], noise]))
    assert roc_auc_score(np.repeat([0, 1], 200), scores) > 0.95


@pytest.mark.slow
def test_gate_names_the_class(fitted):
    """The expert of its class answers for a normal row, the last output for an anomaly."""
    x, _, classes = three_classes(2)
    weights = fitted.gate(x)
    assert weights.shape == (len(x), 4)
    assert weights.dtype == np.float32
    np.testing.assert_allclose(weights.sum(axis=1), 1, atol=1e-5)
    names = np.array([*fitted.expert_names_, "odd"])
    for name in names[:3]:
        assert (names[weights.argmax(axis=1)] == classes)[classes == name].mean() > 0.9
    np.testing.assert_array_equal(weights, fitted.gate(x, budget=60))
    assert not np.allclose(weights, fitted.gate(x, budget=5))
    noise = np.random.default_rng(5).normal(0.5, 1, (200, 20)).astype(np.float32)
    assert (fitted.gate(noise).argmax(axis=1) == 3).mean() > 0.95


@pytest.mark.slow
def test_gate_depends_on_the_right_classes(target, rows):
    """With permuted classes no expert can be told from another."""
    x, y, classes = rows
    permuted = classes.copy()
    permuted[y == 0] = np.random.default_rng(0).permutation(classes[y == 0])
    weights = small_argue(target=target).fit(x, y, permuted).gate(x[y == 0])
    names = np.array(["a", "b", "c", "odd"])
    assert (names[weights.argmax(axis=1)] == classes[y == 0]).mean() < 0.7


@pytest.mark.slow
def test_save_and_load_keep_the_gate(fitted, rows, tmp_path):
    fitted.save(tmp_path / "model")
    loaded = Detector.load(tmp_path / "model")
    assert loaded.expert_names_ == ("a", "b", "c")
    for budget in (5, 60):
        np.testing.assert_array_equal(loaded.gate(rows[0], budget), fitted.gate(rows[0], budget))
    np.testing.assert_array_equal(loaded.decision_matrix(rows[0]), fitted.decision_matrix(rows[0]))


@pytest.mark.slow
def test_budgets_alone_and_together_agree(target, rows):
    """To 1e-4, as in A3 (roundings grow with the epochs); a budget reads its own rows only.

    When it is alone, known anomalies beyond it are others.
    """
    x, y, classes = rows
    test = three_classes(2)[0]
    together = small_argue(target=target, budgets=(5, 60), epochs=10).fit(x, y, classes)
    matrix = together.decision_matrix(test)
    assert matrix.shape == (len(test), 2)
    assert not np.allclose(matrix[:, 0], matrix[:, 1], atol=1e-2)
    for i, budget in enumerate((5, 60)):
        other = x.copy()
        other[np.flatnonzero(y)[budget:]] = 0.9
        alone = small_argue(target=target, budgets=(budget,), epochs=10).fit(other, y, classes)
        np.testing.assert_allclose(alone.decision_function(test), matrix[:, i], atol=1e-4, rtol=0)
        np.testing.assert_allclose(alone.gate(test), together.gate(test, budget), atol=1e-4, rtol=0)


@pytest.mark.slow
def test_no_known_anomalies(target, rows):
    """The unsupervised setting: noise alone."""
    x, y, classes = rows
    argue = small_argue(target=target).fit(x[y == 0], classes=classes[y == 0])
    assert argue.budgets_ == (0,)
    noise = np.random.default_rng(5).normal(0.5, 1, (200, 20)).astype(np.float32)
    assert argue.decision_function(noise).mean() > argue.decision_function(x[y == 0]).mean() + 0.5


@pytest.mark.slow
def test_images(tmp_path):
    """The convolutional networks train, save and load."""
    rng = np.random.default_rng(0)
    x = rng.random((24, 28, 28, 1)).astype(np.float32)
    classes = np.tile(["0", "1"], 12)
    target = small_target(network="conv", dims=(4, 2, 2), epochs=1, batch_size=8)
    argue = small_argue(target=target, alarm_dims=(8,), epochs=1, batch_size=8)
    argue.fit(x, np.repeat([0, 1], [20, 4]), classes).save(tmp_path / "model")
    loaded = Detector.load(tmp_path / "model")
    np.testing.assert_array_equal(loaded.decision_function(x), argue.decision_function(x))


@pytest.mark.slow
def test_batches_of_several_blocks_of_images(monkeypatch):
    """TensorFlow's optimiser of graphs once gave two steps one name for a sum's buffer."""
    monkeypatch.setattr("libs.ARGUE.BLOCK", 16)
    rng = np.random.default_rng(0)
    x = rng.random((100, 28, 28, 1)).astype(np.float32)
    target = MultiHeadAutoencoder("conv", (16, 8, 8), epochs=0)
    argue = ARGUE(target, batch_size=32, epochs=2).fit(x, classes=np.tile(list("abcde"), 20))
    assert argue.training_.updates == 8


# --- patience ------------------------------------------------------------------------------------
@pytest.mark.slow
def test_patience_ends_the_training_at_its_best(rows):
    """Fewer epochs than allowed, and the weights of the best one."""
    x, y, classes = rows
    target = small_target(epochs=500, patience=3, learning_rate=2e-2).fit(x, y, classes)
    n = target.training_.epochs
    assert 3 < n < 500
    assert len(target.training_.losses) == n
    shorter = small_target(epochs=n - 3, patience=500, learning_rate=2e-2).fit(x, y, classes)
    np.testing.assert_array_equal(target.decision_function(x), shorter.decision_function(x))
    argue = small_argue(target=target, epochs=300, patience=2, learning_rate=1e-2)
    argue.fit(x, y, classes)
    assert argue.training_.epochs < 300
    test, labels, _ = three_classes(2)
    assert roc_auc_score(labels, argue.decision_function(test)) > 0.9


@pytest.mark.slow
def test_rows_are_held_out_with_patience_only(target, fitted, rows):
    x, y, classes = rows
    assert fitted.training_.rows == len(x)
    held = small_argue(target=target, epochs=1, patience=1).fit(x, y, classes).training_.rows
    assert held == len(x) - round(0.05 * 150) - round(0.05 * 100) - round(0.05 * 50)
    with pytest.raises(UserError, match="at least one epoch"):
        small_argue(target=target, epochs=1, patience=0).fit(x, y, classes)


def test_held_out_rows_are_of_every_group():
    groups = np.repeat([0, 1, 2], [100, 40, 1])
    chosen = choose_held_out(groups, seed=1)
    assert np.bincount(groups[chosen], minlength=3).tolist() == [5, 2, 0]
    np.testing.assert_array_equal(chosen, choose_held_out(groups, seed=1))
    assert not np.array_equal(chosen, choose_held_out(groups, seed=2))


# --- clusters as experts -------------------------------------------------------------------------
class Thirds(NetworkDetector):
    """Rows by their first feature; of four clusters the second and the last are empty."""

    def __init__(self, random_state=0):
        self.random_state = random_state

    def _fit(self, x, y):
        return None

    def affinity(self, x):
        return np.eye(4, dtype=np.float32)[np.where(x[:, 0] > 0.6, 2, 0)]


@pytest.mark.slow
def test_an_empty_cluster_means_fewer_experts(rows, caplog):
    caplog.set_level("INFO", "a3")
    x, y, _ = rows
    target = small_target(epochs=1, clustering=Thirds())
    argue = small_argue(target=target, epochs=1).fit(x, y)
    assert argue.expert_names_ == ("0", "2")
    assert "clusters [1, 3] hold no normal row: 2 experts remain" in caplog.text
    assert argue.gate(x).shape == (len(x), 3)


@pytest.mark.slow
def test_a4rgue_gates_by_cluster(rows):
    """Gate labels are the clusters for normal rows, the last output for known anomalies."""
    x, y, _ = rows
    argue = small_argue(target=small_target(clustering=Thirds())).fit(x, y)
    answered = argue.gate(x).argmax(axis=1)
    assert (answered[y == 0] == (x[y == 0, 0] > 0.6)).mean() > 0.95
    test, labels, _ = three_classes(2)
    assert roc_auc_score(labels, argue.decision_function(test)) > 0.9


def test_gate_table_and_picture(tmp_path):
    """One row per class, the columns add up to 1."""
    weights = np.array([[0.9, 0.1, 0.0], [0.7, 0.1, 0.2], [0.0, 0.0, 1.0]])
    table = gate_table(weights, np.array(["b", "b", "odd"]), ("a", "b"))
    assert list(table.columns) == ["a", "b", "anomaly"]
    np.testing.assert_allclose(table.loc["b"], [0.8, 0.1, 0.1])
    np.testing.assert_allclose(table.loc["odd"], [0, 0, 1])
    write_gate(tmp_path / "ARGUE-n100", table, "toy")
    assert (tmp_path / "ARGUE-n100.gate.csv").read_text().splitlines()[0] == "class,a,b,anomaly"
    assert (tmp_path / "ARGUE-n100.gate.png").read_bytes().startswith(b"\x89PNG")
