"""Trained models as files that other programs run: ONNX, torch's `.pt2`, and one safetensors file."""
